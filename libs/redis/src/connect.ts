import { parseRedisUrl, type RedisTarget } from '@tavus-fleet/contracts';
import { withDeadline } from '@tavus-fleet/lifecycle';
import { Redis, type Cluster, type RedisOptions } from 'ioredis';
import type { Log } from './log.ts';
import { TimedCluster } from './timed-cluster.ts';

/** A connection to a single server or Sentinel group, or to a Cluster. */
export type RedisConnection = Redis | Cluster;

/**
 * What a connection is for; each has its own patience.
 * `commands`: requests with an answer, 2 s. `blocking`: one XREAD loop, no deadline of its own (the reader keeps one).
 * `lease`: renewals only, 800 ms, nothing waits in line: a renewal that comes late is worse than none.
 * `queue`: a BullMQ producer, 2 s. `queue-worker`: a BullMQ consumer, which must wait for ever.
 */
export type RedisRole = 'commands' | 'blocking' | 'lease' | 'queue' | 'queue-worker';

// Without replyMapping, which we never set: the driver's constructors tie the types of replies to it.
type NodeOptions = Omit<RedisOptions, 'replyMapping'>;

const CONNECT_TIMEOUT_MS = 1500;
/** For a sentinel to name the master; then the next one is asked. Without it a sentinel that hangs would hold a connection for ever. */
const SENTINEL_TIMEOUT_MS = 1000;

// maxRetriesPerRequest 0: a closed connection fails what was under way at once. The driver's default would send it again
// after the reconnect, so that a caller who was told "failed" finds it done later. Not lazy for BullMQ: it takes the first
// failed connect() of a lazy client for final, and the queue would be dead for good when Redis starts after us.
// socketTimeout: a partition leaves a socket open that stays silent for minutes; it must be replaced to notice the return.
const roles: Record<RedisRole, NodeOptions> = {
  commands: { commandTimeout: 2000, maxRetriesPerRequest: 0, socketTimeout: 2000, lazyConnect: true },
  blocking: { maxRetriesPerRequest: 0, lazyConnect: true },
  lease: {
    commandTimeout: 800,
    maxRetriesPerRequest: 0,
    socketTimeout: 1600,
    lazyConnect: true,
    enableOfflineQueue: false,
  },
  queue: { commandTimeout: 2000, maxRetriesPerRequest: 1, socketTimeout: 2000, lazyConnect: false },
  'queue-worker': { maxRetriesPerRequest: null, lazyConnect: false },
};

/** Pause before reconnect number `times`: 50 ms doubling to 0.7 s, ±25 %, so that a fleet does not knock in step. Never gives up. */
export function reconnectDelayMs(times: number, random: () => number = Math.random): number {
  return Math.round(Math.min(700, 50 * 2 ** Math.min(times - 1, 10)) * (0.75 + random() / 2));
}

/**
 * Opens a connection (at its first command, except for BullMQ's roles). It always has an `error` listener: without one the
 * driver prints stacks. Down and up again is logged once each, with the connection's name, never its URL.
 * The caller closes it: `disconnect()`. Throws `FleetError('invalid-request')` for a URL it cannot read.
 */
export function connectRedis(url: string, options: { role: RedisRole; name: string; log: Log }): RedisConnection {
  const { role, name, log } = options;
  const target = parseRedisUrl(url);
  const connection =
    target.kind === 'cluster' ? openCluster(target, role, name) : new Redis(nodeOptions(target, role, name));
  let downSince: number | undefined;
  connection.on('error', (error: Error) => {
    if (downSince !== undefined) return;
    downSince = Date.now();
    log.warn({ connection: name, role, error: error.message }, 'redis down');
  });
  connection.on('ready', () => {
    if (downSince === undefined) return;
    log.info({ connection: name, role, downMs: Date.now() - downSince }, 'redis up again');
    downSince = undefined;
  });
  return connection;
}

/**
 * Connects a lazy connection that nothing has used yet. The lease role needs it: it has no line to wait in. Rejects after 1.5 s with
 * `redis-unavailable`; the connection goes on trying by itself. A deadline of our own: a Cluster's connect() never settles when
 * a node answers it that the cluster is down, and whoever waited for it renewed no lease ever after (observed).
 */
export async function ensureConnected(connection: RedisConnection): Promise<void> {
  if (connection.status !== 'wait') return;
  const limit = { ms: CONNECT_TIMEOUT_MS, what: 'Connecting to Redis', code: 'redis-unavailable' } as const;
  await withDeadline(limit, () => connection.connect());
}

function nodeOptions(target: RedisTarget, role: RedisRole, name: string): NodeOptions {
  const [node] = target.nodes;
  return {
    ...roles[role],
    ...auth(target),
    connectionName: name,
    connectTimeout: CONNECT_TIMEOUT_MS,
    db: target.db,
    retryStrategy: (times) => reconnectDelayMs(times),
    // After a failover the old master answers READONLY; only a new connection asks who the master is.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
    ...(target.kind === 'sentinel' && target.masterName !== undefined
      ? {
          sentinels: [...target.nodes],
          name: target.masterName,
          sentinelRetryStrategy: (times: number) => reconnectDelayMs(times),
          sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
          // No `failoverDetector`: a failover that it hears of while the connection is asking for the new master ends that connection
          // for good (observed). A master that was replaced is noticed by its closed socket, its silence or its READONLY.
        }
      : { host: node.host, port: node.port }),
  };
}

function openCluster(target: RedisTarget, role: RedisRole, name: string): Cluster {
  const { lazyConnect = true, enableOfflineQueue = true, ...perNode } = roles[role];
  return new TimedCluster([...target.nodes], {
    lazyConnect,
    enableOfflineQueue,
    clusterRetryStrategy: (times) => reconnectDelayMs(times),
    redisOptions: { ...perNode, ...auth(target), connectionName: name, connectTimeout: CONNECT_TIMEOUT_MS },
  });
}

function auth(target: RedisTarget): Pick<NodeOptions, 'username' | 'password' | 'tls'> {
  return {
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.tls ? { tls: {} } : {}),
  };
}
