import { compareIds } from '@tavus-fleet/redis';
import type { Clock, Timer } from '@tavus-fleet/lifecycle';

/** How long reading up to the tail may take; Redis may be silent, and a drain has its own deadline. */
const CATCH_UP_MS = 2_000;

/**
 * Tells when everything is read that was in the stream at a moment. A drain needs it: what Redis had taken by then was
 * accepted, though the reader may be a few entries behind. Rejected alternative: writing a mark into the backend's stream.
 */
export class Tail {
  readonly #clock: Clock;
  readonly #withinMs: number;
  #seen: string;
  #waiting: { readonly until: string; readonly reached: () => void } | undefined;
  #timer: Timer | undefined;

  /** `withinMs`: how long `reached` waits at most. */
  constructor(clock: Clock, from: string, withinMs = CATCH_UP_MS) {
    this.#clock = clock;
    this.#seen = from;
    this.#withinMs = withinMs;
  }

  /** Entries up to this id have been handed on. */
  saw(id: string): void {
    this.#seen = id;
    this.#look();
  }

  /** Calls back once: when all that `newest` answers has been seen, when that is not to be had, or after its time. */
  reached(newest: () => Promise<string>, callback: () => void): void {
    let told = false;
    const once = (): void => {
      if (told) return;
      told = true;
      this.close();
      callback();
    };
    this.#timer = this.#clock.after(this.#withinMs, once);
    void this.#await(newest, () => told, once);
  }

  async #await(newest: () => Promise<string>, isTold: () => boolean, once: () => void): Promise<void> {
    try {
      const until = await newest();
      if (isTold()) return;
      this.#waiting = { until, reached: once };
      this.#look();
    } catch {
      once(); // Redis does not say: what was read is what there is
    }
  }

  close(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#waiting = undefined;
  }

  #look(): void {
    if (this.#waiting && compareIds(this.#seen, this.#waiting.until) >= 0) this.#waiting.reached();
  }
}
