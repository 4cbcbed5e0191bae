import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import { wordScript } from './scripts.ts';

const addScript = wordScript('queued-add', ['ok']);

/** A conversation's place among those that wait; 1 = next in line. */
export type QueuePlace = { readonly position: number; readonly ageMs: number };

/**
 * Conversations in state `queued`, by when they were asked for. Only a means to see and to repair: what counts is the record.
 * An entry is written before its record, so that no record waits unseen; one too many is taken out by the sweeper.
 */
export class Queued {
  readonly #redis: RedisConnection;
  readonly #key: string;

  constructor(redis: RedisConnection, keys: Keys) {
    this.#redis = redis;
    this.#key = keys.fleet.queued;
  }

  async add(id: string): Promise<void> {
    await redisCall(() => addScript.run(this.#redis, [this.#key], id));
  }

  async remove(...ids: string[]): Promise<void> {
    if (ids.length > 0) await redisCall(() => this.#redis.zrem(this.#key, ...ids));
  }

  async place(id: string): Promise<QueuePlace | undefined> {
    const [rank, since, now] = await redisCall(() =>
      Promise.all([this.#redis.zrank(this.#key, id), this.#redis.zscore(this.#key, id), this.#now()]),
    );
    if (rank === null || since === null) return undefined;
    return { position: rank + 1, ageMs: Math.max(0, Math.round(now - Number(since))) };
  }

  /** How many wait, and for how long the oldest has. */
  async length(): Promise<{ readonly count: number; readonly oldestMs: number }> {
    const [count, [, since], now] = await redisCall(() =>
      Promise.all([this.#redis.zcard(this.#key), this.#redis.zrange(this.#key, '0', '0', 'WITHSCORES'), this.#now()]),
    );
    return { count, oldestMs: since === undefined ? 0 : Math.max(0, Math.round(now - Number(since))) };
  }

  /** At most `limit` ids, the oldest first, each with when it was asked for (ms since 1970 by Redis' clock). */
  async oldest(limit: number): Promise<{ readonly id: string; readonly since: number }[]> {
    const rows = await redisCall(() => this.#redis.zrange(this.#key, '0', String(limit - 1), 'WITHSCORES'));
    return Array.from({ length: rows.length / 2 }, (_, at) => ({
      id: rows[2 * at] ?? '',
      since: Number(rows[2 * at + 1]),
    }));
  }

  async #now(): Promise<number> {
    const [seconds, micros] = await this.#redis.time();
    return Number(seconds) * 1_000 + Number(micros) / 1_000;
  }
}
