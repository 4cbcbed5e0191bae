import type { Clock } from '@tavus-fleet/lifecycle';

/** A token bucket: so many at once, and so many a second after that. */
export class Allowance {
  readonly #clock: Clock;
  readonly #atOnce: number;
  readonly #aSecond: number;
  #left: number;
  #filledAt: number;

  constructor(clock: Clock, { atOnce, aSecond }: { atOnce: number; aSecond: number }) {
    this.#clock = clock;
    this.#atOnce = atOnce;
    this.#aSecond = aSecond;
    this.#left = atOnce;
    this.#filledAt = clock.now();
  }

  /** Whether one more may pass now. */
  take(): boolean {
    const now = this.#clock.now();
    this.#left = Math.min(this.#atOnce, this.#left + ((now - this.#filledAt) * this.#aSecond) / 1_000);
    this.#filledAt = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
