import { z } from 'zod';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import { listScript } from './scripts.ts';

const sinceScript = listScript('since');
const suspectsScript = listScript('suspects');

/** What a pass of the reaper found. `at` is Redis' time, ms since 1970. */
const Audit = z.object({
  at: z.number(),
  /** Conversations of this fleet that Tavus calls active. */
  active: z.int().nonnegative(),
  /** Open rows of the ledger. */
  rows: z.int().nonnegative(),
  /** Those of both that should not be running and are not known to have ended. */
  unended: z.int().nonnegative(),
});
export type Audit = z.infer<typeof Audit>;

const AUDIT_TTL_MS = 24 * 3_600_000;

/**
 * What passes of the reaper tell each other through Redis, so that the next one may be another worker's: what was suspected when,
 * how long this Redis has been known, and the last finding, which every process shows as a metric.
 */
export class ReaperNotes {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;

  constructor(redis: RedisConnection, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** For how long (ms) the fleet has known this run of Redis without its data being lost, and Redis' clock (ms since 1970). */
  async known(): Promise<{ readonly forMs: number; readonly nowMs: number }> {
    const [forMs, nowMs] = await redisCall(() => sinceScript.run(this.#redis, [this.#keys.fleet.since]));
    return { forMs: Number(forMs), nowMs: Number(nowMs) };
  }

  /** Notes what is suspected at `nowMs` and answers since when each has been, in the same order. What is not named is forgotten. */
  async suspect(ids: readonly string[], nowMs: number): Promise<number[]> {
    const first = await redisCall(() =>
      suspectsScript.run(this.#redis, [this.#keys.fleet.suspects], nowMs.toFixed(0), ...ids),
    );
    return first.map(Number);
  }

  async saveAudit(audit: Audit): Promise<void> {
    await redisCall(() => this.#redis.set(this.#keys.fleet.audit, JSON.stringify(audit), 'PX', AUDIT_TTL_MS));
  }

  /** The last finding and how old it is; undefined when there was none within a day. */
  async audit(): Promise<(Audit & { readonly ageMs: number }) | undefined> {
    const [text, [seconds]] = await redisCall(() =>
      Promise.all([this.#redis.get(this.#keys.fleet.audit), this.#redis.time()]),
    );
    if (text === null) return undefined;
    try {
      const audit = Audit.parse(JSON.parse(text));
      return { ...audit, ageMs: Math.max(0, Number(seconds) * 1_000 - audit.at) };
    } catch {
      return undefined; // somebody else's; the next pass writes it anew
    }
  }
}
