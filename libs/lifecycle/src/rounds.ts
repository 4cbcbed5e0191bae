import type { Clock, Timer } from './clock.ts';

/**
 * Work that is done again and again, one round at a time: a round that is under way is not overtaken, and what it throws goes to
 * `onError`, so that one bad round does not end the rounds.
 */
export class Rounds {
  readonly #work: () => Promise<void>;
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #onError: (error: unknown) => void;
  #timer: Timer | undefined;
  #round: Promise<void> | undefined;

  constructor(
    work: () => Promise<void>,
    options: { readonly everyMs: number; readonly clock: Clock; readonly onError: (error: unknown) => void },
  ) {
    this.#work = work;
    this.#clock = options.clock;
    this.#everyMs = options.everyMs;
    this.#onError = options.onError;
  }

  /** The first round comes after `everyMs`. Starting twice is starting once. */
  start(): void {
    this.#timer ??= this.#clock.every(this.#everyMs, () => void this.now());
  }

  /** A round now, or the one that is under way. Never rejects. */
  now(): Promise<void> {
    this.#round ??= this.#one();
    return this.#round;
  }

  /** No further round; resolves when the one under way is over. May be called twice, or without a start. */
  async close(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    await this.#round;
  }

  async #one(): Promise<void> {
    try {
      await this.#work();
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#round = undefined;
    }
  }
}
