import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';

/**
 * Rounds that the whole fleet needs once and not once per worker. Whoever asks first has the turn and nobody else for `everyMs`,
 * whether it finishes or dies: there is nothing to give back. Two at once after a failover do no harm; none must depend on it.
 */
export class Turns {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;

  constructor(redis: RedisConnection, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Whether the caller has this round's turn. */
  async take(name: string, everyMs: number): Promise<boolean> {
    return (await redisCall(() => this.#redis.set(this.#keys.fleet.turn(name), '1', 'PX', everyMs, 'NX'))) === 'OK';
  }
}
