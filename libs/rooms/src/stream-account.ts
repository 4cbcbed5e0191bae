import { maxWaitingSamples } from './limits.ts';

/**
 * How much of what was written still waits in the page, by its reports and by what a flush dropped. The page's ring has a
 * second of slack above our limit, so that an account one report old never overfills it.
 */
export class StreamAccount {
  #written = 0;
  #dropped = 0;
  #consumed = 0;

  get waiting(): number {
    return Math.max(0, this.#written - this.#dropped - this.#consumed);
  }

  get consumed(): number {
    return this.#consumed;
  }

  get written(): number {
    return this.#written;
  }

  /** Whether so many samples may still go; counts them if so. */
  take(samples: number): boolean {
    if (this.waiting + samples > maxWaitingSamples) return false;
    this.#written += samples;
    return true;
  }

  /** Taken but not sent after all. */
  giveBack(samples: number): void {
    this.#written -= samples;
  }

  played(consumed: number): void {
    this.#consumed = Math.max(this.#consumed, consumed);
  }

  /** `writtenBefore` is what `written` was when the flush was sent: only that was dropped, later sound waits. */
  flushed(consumed: number, writtenBefore: number): void {
    this.played(consumed);
    this.#dropped = Math.max(this.#dropped, writtenBefore - consumed);
  }

  reset(): void {
    this.#written = 0;
    this.#dropped = 0;
    this.#consumed = 0;
  }
}
