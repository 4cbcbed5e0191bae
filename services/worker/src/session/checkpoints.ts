import type { Clock, Timer } from '@tavus-fleet/lifecycle';

const EVERY_MS = 500;

/**
 * Saves how far was played and what was counted, within 500 ms of a change, so that a successor continues there. One save at
 * a time; a failed one is made good by the next. Nothing runs while nothing changes.
 */
export class Checkpoints {
  readonly #clock: Clock;
  readonly #save: () => Promise<'patched' | 'fenced'>;
  readonly #onFenced: () => void;
  #timer: Timer | undefined;
  #saving: Promise<void> | undefined;
  #closed = false;

  constructor(clock: Clock, save: () => Promise<'patched' | 'fenced'>, onFenced: () => void) {
    this.#clock = clock;
    this.#save = save;
    this.#onFenced = onFenced;
  }

  changed(): void {
    if (this.#closed || this.#timer) return;
    this.#timer = this.#clock.after(EVERY_MS, () => {
      this.#timer = undefined;
      if (this.#saving) this.changed();
      else this.#saving = this.#run();
    });
  }

  /** No further save; resolves when the one under way is through, so that it cannot overwrite what is written after. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    await this.#saving;
  }

  async #run(): Promise<void> {
    let known = true;
    try {
      if ((await this.#save()) === 'fenced') this.#onFenced();
    } catch {
      known = false; // Redis is silent; the next round saves a newer position anyway
    }
    this.#saving = undefined;
    if (!known) this.changed();
  }
}
