import type { Clock, Timer } from '@tavus-fleet/lifecycle';

const EVERY_MS = 500;

/**
 * Saves how far was played and what was counted, every 500 ms when something changed, so that a successor continues there.
 * One save at a time; a failed one is made good by the next.
 */
export class Checkpoints {
  readonly #save: () => Promise<'patched' | 'fenced'>;
  readonly #onFenced: () => void;
  readonly #timer: Timer;
  #dirty = false;
  #saving: Promise<void> | undefined;

  constructor(clock: Clock, save: () => Promise<'patched' | 'fenced'>, onFenced: () => void) {
    this.#save = save;
    this.#onFenced = onFenced;
    this.#timer = clock.every(EVERY_MS, () => {
      if (this.#dirty) void this.now();
    });
  }

  changed(): void {
    this.#dirty = true;
  }

  /** Saves at once; resolves when that save is through, whether it worked or not. */
  now(): Promise<void> {
    this.#saving ??= this.#run().finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  close(): void {
    this.#timer[Symbol.dispose]();
  }

  async #run(): Promise<void> {
    this.#dirty = false;
    try {
      if ((await this.#save()) === 'fenced') this.#onFenced();
    } catch {
      this.#dirty = true; // Redis is silent; the next round saves a newer position anyway
    }
  }
}
