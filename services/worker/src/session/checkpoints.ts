import type { Clock, Timer } from '@tavus-fleet/lifecycle';

/** With a report of the page every 100 ms and the save itself a successor repeats no more than half a second. */
export const SAVE_EVERY_MS = 350;

/**
 * Saves how far was played and what was counted, within SAVE_EVERY_MS of a change, so that a successor continues there. One save at
 * a time; a failed one is made good by the next. Nothing runs while nothing changes.
 */
export class Checkpoints {
  readonly #clock: Clock;
  readonly #save: () => Promise<'patched' | 'fenced'>;
  readonly #onFenced: () => void;
  #timer: Timer | undefined;
  #saving: Promise<void> | undefined;
  #closed = false;
  #isDue = false;
  #savedMs = 0;

  constructor(clock: Clock, save: () => Promise<'patched' | 'fenced'>, onFenced: () => void) {
    this.#clock = clock;
    this.#save = save;
    this.#onFenced = onFenced;
  }

  /** `playedMs`: played so far. Echo mode sends many seconds in one: what is far ahead of the last save is saved at once. */
  changed(playedMs = 0): void {
    if (this.#closed) return;
    if (playedMs - this.#savedMs >= SAVE_EVERY_MS) {
      this.#savedMs = playedMs;
      return this.#saveNow();
    }
    if (this.#timer) return;
    this.#timer = this.#clock.after(SAVE_EVERY_MS, () => {
      this.#timer = undefined;
      this.#saveNow();
    });
  }

  /** No further save; resolves when the one under way is through, so that it cannot overwrite what is written after. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    await this.#saving;
  }

  #saveNow(): void {
    if (this.#closed) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#saving) this.#isDue = true;
    else this.#saving = this.#run();
  }

  async #run(): Promise<void> {
    let known = true;
    try {
      if ((await this.#save()) === 'fenced') this.#onFenced();
    } catch {
      known = false; // Redis is silent; the next round saves a newer position anyway
    }
    this.#saving = undefined;
    const isDue = this.#isDue && known;
    this.#isDue = false;
    if (isDue) this.#saveNow();
    else if (!known) this.changed();
  }
}
