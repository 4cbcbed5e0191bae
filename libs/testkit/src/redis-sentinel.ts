import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { withDeadline } from '@tavus-fleet/lifecycle';
import { Redis } from 'ioredis';
import { dataNode, launchRedisProcess } from './redis-process.ts';
import { freePort, type RedisServer } from './redis-server.ts';

const NAME = 'mymaster';
const SENTINELS = 3;
const REPLICAS = 2;
// Short for a test; production takes 5 to 30 s for the first. What is said of recovery counts from the moment a new master is named.
const DOWN_AFTER_MS = 1_000;
const FAILOVER_TIMEOUT_MS = 3_000;
const START_MS = 30_000;
const FAILOVER_MS = 20_000;

/** A master, its two replicas and three sentinels, each a redis-server of its own. */
export class RedisSentinels implements AsyncDisposable {
  readonly url: string;
  readonly name = NAME;
  readonly sentinels: readonly RedisServer[];
  readonly #nodes: readonly RedisServer[];
  #killed: RedisServer | undefined;

  private constructor(nodes: readonly RedisServer[], sentinels: readonly RedisServer[]) {
    this.#nodes = nodes;
    this.sentinels = sentinels;
    this.url = `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${NAME}`;
  }

  static start(): Promise<RedisSentinels> {
    return withDeadline({ ms: START_MS, what: 'Starting Redis with Sentinel' }, async (signal) => {
      await using held = new AsyncDisposableStack();
      const launch = async (port: number, command: (dir: string) => readonly string[]): Promise<RedisServer> =>
        held.adopt(await launchRedisProcess(port, command, signal), (server) => server.stop());
      const masterPort = await freePort();
      const node = async (port: number, ...extra: string[]): Promise<RedisServer> =>
        launch(port, (dir) =>
          dataNode(port, dir, { appendOnly: true, extra: ['--repl-diskless-sync-delay', '0', ...extra] }),
        );
      const nodes = [await node(masterPort)];
      for (let count = 0; count < REPLICAS; count += 1)
        nodes.push(await node(await freePort(), '--replicaof', '127.0.0.1', String(masterPort)));
      // Replicas first: a sentinel asks a master for them only every 10 s.
      await asking(masterPort, signal, async (redis) => /connected_slaves:2/.test(await redis.info('replication')));
      const sentinels: RedisServer[] = [];
      for (let count = 0; count < SENTINELS; count += 1) {
        const port = await freePort();
        sentinels.push(await launch(port, (dir) => [sentinelConfig(dir, port, masterPort), '--sentinel']));
      }
      for (const { port } of sentinels)
        await asking(port, signal, async (redis) => {
          const master = await masterAsSeen(redis);
          return master['num-slaves'] === String(REPLICAS) && master['num-other-sentinels'] === String(SENTINELS - 1);
        });
      held.move();
      return new RedisSentinels(nodes, sentinels);
    });
  }

  /** The node that a sentinel names as master now. */
  async master(): Promise<RedisServer> {
    const port = await this.#masterPort(AbortSignal.timeout(FAILOVER_MS));
    const node = this.#nodes.find((each) => each.port === port);
    if (!node) throw new Error(`The sentinels name ${port}, which is none of ours.`);
    return node;
  }

  /** Kills the master; resolves when the sentinels name another one and that one is a master. */
  async failover(): Promise<void> {
    const old = await this.master();
    this.#killed = old;
    await old.kill();
    await withDeadline({ ms: FAILOVER_MS, what: 'The failover' }, async (signal) => {
      for (;;) {
        const port = await this.#masterPort(signal);
        if (port !== old.port)
          return asking(port, signal, async (redis) => /role:master/.test(await redis.info('replication')));
        await pause(20, undefined, { signal });
      }
    });
  }

  /** Starts what `failover` killed; resolves when the sentinels have made it a replica of the new master (some 10 s). */
  async restore(): Promise<void> {
    const back = this.#killed;
    await back?.restart();
    if (back)
      await withDeadline({ ms: START_MS, what: 'Restoring the group' }, (signal) => replicates(back.port, signal));
  }

  /** May be called twice. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.sentinels, ...this.#nodes].map((server) => server.stop()));
  }

  async #masterPort(signal: AbortSignal): Promise<number> {
    const [first] = this.sentinels;
    let port = 0;
    await asking(first?.port ?? 0, signal, async (redis) => {
      port = Number((await masterAsSeen(redis))['port']);
      return true;
    });
    return port;
  }
}

function sentinelConfig(dir: string, port: number, masterPort: number): string {
  const file = join(dir, 'sentinel.conf');
  // A file of its own: a sentinel writes what it learns into it.
  writeFileSync(
    file,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${dir}`,
      `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} 2`,
      `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${NAME} ${FAILOVER_TIMEOUT_MS}`,
      '',
    ].join('\n'),
  );
  return file;
}

async function masterAsSeen(sentinel: Redis): Promise<Record<string, string>> {
  const flat = (await sentinel.call('SENTINEL', 'MASTER', NAME)) as string[]; // safe: documented as names and values in turn
  const pairs = flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? ''] as const] : []));
  return Object.fromEntries(pairs);
}

/** Resolves when that node follows a master and has what it has. */
export function replicates(port: number, signal: AbortSignal): Promise<void> {
  return asking(port, signal, async (redis) => {
    const replication = await redis.info('replication');
    return /role:slave/.test(replication) && /master_link_status:up/.test(replication);
  });
}

/** Asks that server until the answer is yes. */
export async function asking(
  port: number,
  signal: AbortSignal,
  question: (redis: Redis) => Promise<boolean>,
): Promise<void> {
  const redis = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  redis.on('error', () => undefined); // it may still be starting: asked again
  try {
    while (!(await question(redis))) await pause(20, undefined, { signal });
  } finally {
    redis.disconnect();
  }
}
