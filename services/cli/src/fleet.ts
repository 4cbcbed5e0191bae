import type { CliConfig } from '@tavus-fleet/config';
import {
  connectRedis,
  createKeys,
  EventLog,
  Ledger,
  Queued,
  Records,
  redisCall,
  silentLog,
  WorkerRegistry,
  type Keys,
  type RedisConnection,
} from '@tavus-fleet/redis';
import { createTavusClient, type TavusClient } from '@tavus-fleet/tavus';

/** What the commands work on: the fleet's Redis directly, so that they work while no api is up. Opened by use, closed by its maker. */
export class Fleet implements AsyncDisposable {
  readonly config: CliConfig;
  readonly redis: RedisConnection;
  readonly keys: Keys;
  readonly records: Records;
  readonly events: EventLog;
  readonly ledger: Ledger;
  readonly queued: Queued;
  readonly workers: WorkerRegistry;
  #tavus: TavusClient | undefined;

  constructor(config: CliConfig) {
    this.config = config;
    this.redis = connectRedis(config.redis.url.reveal(), { role: 'commands', name: 'fleet-cli', log: silentLog });
    this.keys = createKeys(config.redis.keyPrefix);
    this.records = new Records(this.redis, this.keys);
    this.events = new EventLog(this.redis, this.keys);
    this.ledger = new Ledger(this.redis, this.keys);
    this.queued = new Queued(this.redis, this.keys);
    this.workers = new WorkerRegistry(this.redis, this.keys);
  }

  /** Undefined without a key. */
  get tavus(): TavusClient | undefined {
    const { apiKey, baseUrl, names } = this.config.tavus;
    if (apiKey === undefined) return undefined;
    this.#tavus ??= createTavusClient({ baseUrl, apiKey: apiKey.reveal(), names });
    return this.#tavus;
  }

  /** Conversations that are not over: in line, or with a lease. From indexes, so that a fleet's history is not read for it. */
  async openIds(): Promise<string[]> {
    const [queued, leased] = await redisCall(() =>
      Promise.all([
        this.redis.zrange(this.keys.fleet.queued, '0', '-1'),
        this.redis.zrange(this.keys.fleet.leases, '0', '-1'),
      ]),
    );
    return [...new Set([...queued, ...leased])];
  }

  /** Every conversation that still has a record (7 days). Reads the whole keyspace, in steps. */
  async allIds(): Promise<string[]> {
    const ids = new Set<string>();
    const { prefix } = this.keys;
    const record = new RegExp(`^${prefix}:\\{([A-Za-z0-9_-]{1,64})\\}:record$`);
    const nodes = 'nodes' in this.redis ? this.redis.nodes('master') : [this.redis];
    for (const node of nodes) {
      let cursor = '0';
      do {
        const [next, found] = await redisCall(() => node.scan(cursor, 'MATCH', `${prefix}:{*}:record`, 'COUNT', 1_000));
        cursor = next;
        for (const key of found) {
          const id = record.exec(key)?.[1];
          if (id !== undefined) ids.add(id);
        }
      } while (cursor !== '0');
    }
    return [...ids];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tavus?.close();
    this.redis.disconnect();
  }
}
