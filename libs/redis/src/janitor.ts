import { Cluster, type Redis } from 'ioredis';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';

const KEYS_PER_STEP = 500;
const ORPHAN_TTL_S = 3600;

/**
 * Gives a TTL to frames streams that belong to no conversation: of a producer that wrote to a wrong id, or on after the end.
 * Owners renew their own streams' TTL, so one given too early to a conversation that is made later does no harm.
 */
export class Janitor {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;
  /** Where the next step goes on, per node. */
  readonly #cursors = new Map<string, string>();

  constructor(redis: RedisConnection, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Looks at about 500 keys of each node and answers how many streams got a TTL. To be called every few seconds. */
  async step(): Promise<number> {
    return redisCall(async () => {
      const nodes = this.#redis instanceof Cluster ? this.#redis.nodes('master') : [this.#redis];
      const marked = await Promise.all(nodes.map((node) => this.#stepOn(node)));
      return marked.reduce((sum, each) => sum + each, 0);
    });
  }

  async #stepOn(node: Redis): Promise<number> {
    const name = `${node.options.host}:${node.options.port}`;
    const pattern = `${this.#keys.prefix}:{*}:frames`;
    const [next, found] = await node.scan(this.#cursors.get(name) ?? '0', 'MATCH', pattern, 'COUNT', KEYS_PER_STEP);
    this.#cursors.set(name, next);
    let marked = 0;
    for (const frames of found) {
      const record = frames.replace(/:frames$/, ':record'); // the same tag, so the same node
      const [ttl, known] = await Promise.all([node.ttl(frames), node.hget(record, 'endedAt')]);
      if (ttl !== -1 || (known === null && (await node.exists(record)) === 1)) continue;
      marked += await node.expire(frames, ORPHAN_TTL_S);
    }
    return marked;
  }
}
