import { withDeadline } from '@tavus-fleet/lifecycle';
import { Redis } from 'ioredis';
import { dataNode, launchRedisProcess } from './redis-process.ts';
import { asking, replicates } from './redis-sentinel.ts';
import { freePort, type RedisServer } from './redis-server.ts';

const MASTERS = 3;
const SLOTS = 16_384;
// Short for a test; production's default is 15 s.
const NODE_TIMEOUT_MS = 1_500;
const START_MS = 30_000;
const FAILOVER_MS = 20_000;

/** Three masters with one replica each, made with the server's own commands (no redis-cli needed). */
export class RedisCluster implements AsyncDisposable {
  readonly url: string;
  readonly #nodes: readonly RedisServer[];
  #killed: RedisServer | undefined;

  private constructor(nodes: readonly RedisServer[]) {
    this.#nodes = nodes;
    this.url = `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  }

  static start(): Promise<RedisCluster> {
    return withDeadline({ ms: START_MS, what: 'Starting a Redis Cluster' }, async (signal) => {
      await using held = new AsyncDisposableStack();
      const nodes: RedisServer[] = [];
      for (let count = 0; count < MASTERS * 2; count += 1)
        nodes.push(held.adopt(await node(signal), (it) => it.stop()));
      const masters = nodes.slice(0, MASTERS);
      const [first] = masters;
      for (const [index, { port }] of nodes.entries())
        await commanding(port, async (redis) => {
          // Different from the start, or nodes that meet would first have to settle whose word counts.
          await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
          if (index < MASTERS) await redis.call('CLUSTER', 'ADDSLOTSRANGE', ...slotsOf(index));
          if (index > 0) await meet(redis, first);
        });
      for (const { port } of nodes)
        await asking(port, signal, async (redis) => (await rows(redis)).length === nodes.length);
      for (const [index, { port }] of masters.entries()) {
        const id = await commanding(port, async (redis) => String(await redis.call('CLUSTER', 'MYID')));
        await commanding(nodes[MASTERS + index]?.port ?? 0, (redis) => redis.call('CLUSTER', 'REPLICATE', id));
      }
      for (const [index, { port }] of nodes.entries())
        await asking(port, signal, async (redis) => {
          const linked = index < MASTERS || /master_link_status:up/.test(await redis.info('replication'));
          const replicas = (await rows(redis)).filter((row) => row.includes('slave')).length;
          return linked && replicas === MASTERS && /cluster_state:ok/.test(await info(redis));
        });
      held.move();
      return new RedisCluster(nodes);
    });
  }

  /** Kills the master that holds this key; resolves when its replica has taken over and every other node knows. */
  async killMasterOf(key: string): Promise<void> {
    const [any] = this.#nodes;
    const slot = await commanding(any?.port ?? 0, async (redis) => Number(await redis.call('CLUSTER', 'KEYSLOT', key)));
    const masters = await Promise.all(
      this.#nodes.map(async (each) => ((await holds(each.port, slot)) ? each : undefined)),
    );
    const old = masters.find((each) => each !== undefined);
    if (!old) throw new Error(`No node holds slot ${slot}.`);
    this.#killed = old;
    await old.kill();
    await withDeadline({ ms: FAILOVER_MS, what: 'The failover' }, async (signal) => {
      for (const { port } of this.#nodes) {
        if (port === old.port) continue;
        await asking(port, signal, async (redis) => {
          const owner = (await rows(redis)).find((row) => owns(row, slot));
          return owner !== undefined && !owner.includes(`:${old.port}@`) && /cluster_state:ok/.test(await info(redis));
        });
      }
    });
  }

  /** Starts what `killMasterOf` killed; resolves when it follows the master that took its place. */
  async restore(): Promise<void> {
    const back = this.#killed;
    await back?.restart();
    if (back)
      await withDeadline({ ms: START_MS, what: 'Restoring the cluster' }, (signal) => replicates(back.port, signal));
  }

  /**
   * Two of the three masters stand still: what is left has no majority and calls the cluster down. Resolves when it does; disposing
   * what is returned wakes them again, and resolves when every node calls it well. Before any failover only.
   */
  async loseMajority(): Promise<AsyncDisposable> {
    const [left, ...others] = this.#nodes.slice(0, MASTERS);
    await using held = new AsyncDisposableStack();
    held.defer(() => this.#allWell()); // last of all
    for (const each of others) {
      await each.pause();
      held.defer(() => each.resume());
    }
    await withDeadline({ ms: FAILOVER_MS, what: 'Losing the majority' }, (signal) =>
      asking(left?.port ?? 0, signal, async (redis) => /cluster_state:fail/.test(await info(redis))),
    );
    return held.move();
  }

  #allWell(): Promise<void> {
    return withDeadline({ ms: FAILOVER_MS, what: 'The cluster’s recovery' }, async (signal) => {
      for (const { port } of this.#nodes)
        await asking(port, signal, async (redis) => /cluster_state:ok/.test(await info(redis)));
    });
  }

  /** May be called twice. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((server) => server.stop()));
  }
}

const buses = new Map<number, number>();

async function node(signal: AbortSignal): Promise<RedisServer> {
  const port = await freePort();
  const bus = await freePort(); // by default port + 10000, which may not exist
  buses.set(port, bus);
  return launchRedisProcess(
    port,
    (dir) =>
      dataNode(port, dir, {
        appendOnly: true,
        extra: `--cluster-enabled yes --cluster-port ${bus} --cluster-node-timeout ${NODE_TIMEOUT_MS}
          --cluster-require-full-coverage no --cluster-replica-validity-factor 0 --repl-diskless-sync-delay 0`.split(
          /\s+/,
        ),
      }),
    signal,
  );
}

/** First and last slot of a master. */
function slotsOf(index: number): [number, number] {
  const edge = (at: number): number => Math.round((at * SLOTS) / MASTERS);
  return [edge(index), edge(index + 1) - 1];
}

async function meet(redis: Redis, first: RedisServer | undefined): Promise<void> {
  const port = first?.port ?? 0;
  await redis.call('CLUSTER', 'MEET', '127.0.0.1', port, buses.get(port) ?? 0);
}

async function rows(redis: Redis): Promise<string[]> {
  return String(await redis.call('CLUSTER', 'NODES'))
    .trim()
    .split('\n');
}

const info = async (redis: Redis): Promise<string> => String(await redis.call('CLUSTER', 'INFO'));

/** Whether that row of CLUSTER NODES is of the living master of a slot. */
function owns(row: string, slot: number): boolean {
  const [, , flags = '', , , , , link, ...ranges] = row.split(' ');
  if (!flags.includes('master') || flags.includes('fail') || (link !== 'connected' && !flags.includes('myself')))
    return false;
  return ranges.some((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return from <= slot && slot <= to;
  });
}

function holds(port: number, slot: number): Promise<boolean> {
  return commanding(port, async (redis) =>
    (await rows(redis)).some((row) => row.includes('myself') && owns(row, slot)),
  );
}

async function commanding<T>(port: number, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: 3, retryStrategy: () => 50 });
  redis.on('error', () => undefined); // the command that suffers says so
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}
