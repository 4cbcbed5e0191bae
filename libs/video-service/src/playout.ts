import type { Position } from './frames.ts';

type Mark = { readonly position: Position; readonly endSample: number };

/**
 * Bookkeeping between "written" and "played" in samples of one continuous count. Knows which input position each sample
 * belongs to, so that a position is reported only once all of it was heard.
 */
export class Playout {
  #written = 0;
  #played = 0;
  #marks: Mark[] = [];
  #doneSample = 0;

  get written(): number {
    return this.#written;
  }

  get played(): number {
    return this.#played;
  }

  get waiting(): number {
    return this.#written - this.#played;
  }

  wrote(samples: number, position: Position | undefined): void {
    this.#written += samples;
    if (position === undefined) return;
    const last = this.#marks.at(-1);
    if (last?.endSample === this.#written) this.#marks[this.#marks.length - 1] = { position, endSample: this.#written };
    else this.#marks.push({ position, endSample: this.#written });
  }

  /** Moves the played count forward; answers the newest position that is now played whole, if any. */
  advance(samples: number): Position | undefined {
    this.#played = Math.min(this.#written, Math.max(this.#played, samples));
    let done = 0;
    while (done < this.#marks.length && (this.#marks[done]?.endSample ?? Infinity) <= this.#played) done += 1;
    const last = this.#marks.splice(0, done).at(-1);
    if (last) this.#doneSample = last.endSample;
    return last?.position;
  }

  /** Samples played beyond the newest position that was played whole. */
  get into(): number {
    return this.#played - this.#doneSample;
  }

  /** What was written and not played will be written again. */
  rewind(): void {
    this.#written = this.#played;
    this.#marks = [];
  }

  /** Forgets what was written and not played; the written count continues from what was played. Answers the samples dropped and the newest position among them. */
  drop(): { samples: number; position: Position | undefined } {
    const dropped = { samples: this.waiting, position: this.#marks.at(-1)?.position };
    this.#written = this.#played;
    this.#marks = [];
    this.#doneSample = this.#played;
    return dropped;
  }
}
