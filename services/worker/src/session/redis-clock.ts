import type { Clock } from '@tavus-fleet/lifecycle';

/** Redis' clock as this process can tell it: ours may be off by minutes, but both go equally fast. */
export class RedisClock {
  readonly #clock: Clock;
  /** Redis' clock minus ours, ms. */
  readonly skewMs: number;

  /** `redisNowMs`: what Redis said just now. */
  constructor(clock: Clock, redisNowMs: number) {
    this.#clock = clock;
    this.skewMs = redisNowMs - clock.now();
  }

  get nowMs(): number {
    return this.#clock.now() + this.skewMs;
  }

  /** Ms since a time of Redis' clock. */
  ageMs(redisMs: number): number {
    return Math.max(0, this.nowMs - redisMs);
  }
}
