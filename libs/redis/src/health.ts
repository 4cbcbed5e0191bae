import { systemClock, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import { Cluster } from 'ioredis';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';

/** What the server says of itself, and what an operator should change. */
export type ServerInfo = {
  readonly version: string;
  readonly maxmemoryPolicy: string;
  readonly replicas: number;
  readonly warnings: readonly string[];
};

/** One round trip; ms it took. Rejects with `redis-unavailable`. */
export async function ping(redis: RedisConnection, clock: Clock = systemClock): Promise<number> {
  const start = clock.now();
  await redisCall(() => redis.ping());
  return clock.now() - start;
}

export async function serverInfo(redis: RedisConnection): Promise<ServerInfo> {
  return readServerInfo(await redisCall(() => redis.info()));
}

/** Reads the text of INFO. */
export function readServerInfo(info: string): ServerInfo {
  const field = (name: string): string => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim() ?? '';
  const version = field('redis_version');
  const maxmemoryPolicy = field('maxmemory_policy');
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const warnings: string[] = [];
  if (major < 6 || (major === 6 && minor < 2))
    warnings.push(`Redis ${version} is too old: 6.2 or newer is needed (XTRIM MINID).`);
  if (maxmemoryPolicy !== '' && maxmemoryPolicy !== 'noeviction') {
    warnings.push(
      `maxmemory-policy is ${maxmemoryPolicy}: under pressure Redis would throw away records and leases. Set it to noeviction.`,
    );
  }
  if (field('aof_enabled') === '0' && field('loading') === '0')
    warnings.push('appendonly is off: a restart of Redis forgets up to everything since the last snapshot.');
  return { version, maxmemoryPolicy, replicas: Number(field('connected_slaves') || 0), warnings };
}

/** A connection, as far as health is concerned; it must have a deadline of its own (role `commands` has). */
export interface Pingable {
  ping(): Promise<unknown>;
}

/**
 * Pings whatever may hold a lease: of a Cluster every master that has slots. One ping goes to any node there, and a sweeper that hears the
 * two that are left would call every lease of the third expired, while its owners wait for the failover. Which they are is read from
 * the table of slots: the driver forgets a node whose connection closed at once, and its list of masters would be all well without it.
 */
export function everyMaster(redis: RedisConnection): Pingable {
  if (!(redis instanceof Cluster)) return redis;
  return {
    async ping() {
      await redis.ping(); // connects, and knows the slots after that
      const nodes = new Map(redis.nodes().map((node) => [`${node.options.host}:${node.options.port}`, node]));
      const masters = new Set(redis.slots.flatMap(([master]) => master ?? []));
      const asked = [...masters].map((master) => nodes.get(master)?.ping());
      if (asked.includes(undefined)) redis.refreshSlotsCache(); // who has its slots now; by itself the driver asks every 5 s
      await Promise.all(asked.map((each) => each ?? Promise.reject(new Error('Connection is closed.'))));
    },
  };
}

/**
 * Whether Redis has been answering, by a ping every 500 ms. Two readers: /readyz (`up`), and the sweeper, which may call a
 * lease expired only if its own connection has answered all through the last 4 s (`steadyMs`): else it would take over
 * conversations whose owners could not renew for the same reason that it did not notice.
 */
export class RedisHealth {
  readonly #redis: Pingable;
  readonly #clock: Clock;
  readonly #everyMs: number;
  #timer: Timer | undefined;
  #pinging = false;
  #steadySince: number | undefined;
  #lastAnswer: number | undefined;

  constructor(redis: Pingable, options: { clock?: Clock; everyMs?: number } = {}) {
    this.#redis = redis;
    this.#clock = options.clock ?? systemClock;
    this.#everyMs = options.everyMs ?? 500;
  }

  start(): void {
    this.#timer ??= this.#clock.every(this.#everyMs, () => void this.check());
    void this.check();
  }

  /** Answered within the last three intervals. */
  get up(): boolean {
    return this.#lastAnswer !== undefined && this.#clock.now() - this.#lastAnswer <= this.#everyMs * 3;
  }

  /** For how long it has answered without a gap of more than three intervals; 0 when it is not up. */
  get steadyMs(): number {
    return this.up && this.#steadySince !== undefined ? this.#clock.now() - this.#steadySince : 0;
  }

  /** Asks now; never rejects. */
  async check(): Promise<boolean> {
    if (this.#pinging) return this.up;
    this.#pinging = true;
    const asked = this.#clock.now();
    try {
      await this.#redis.ping();
      // A late answer, or none asked for because we were stopped, is a gap: somebody else's lease may have run out in it.
      const isGap = !this.up || this.#clock.now() - asked > this.#everyMs * 3;
      if (isGap || this.#steadySince === undefined) this.#steadySince = asked;
      this.#lastAnswer = this.#clock.now();
    } catch {
      this.#steadySince = undefined; // the connection's own listener logs why
    } finally {
      this.#pinging = false;
    }
    return this.up;
  }

  close(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }
}
