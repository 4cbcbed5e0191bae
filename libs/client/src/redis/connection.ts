import { parseRedisUrl, type RedisTarget } from '@tavus-fleet/contracts';
import { Cluster, Redis, type RedisOptions } from 'ioredis';

export type Connection = Redis | Cluster;
/** `commands`: requests with an answer. `blocking`: one XREAD loop, which answers at least every BLOCK_MS. `queue`: BullMQ's. */
export type Role = 'commands' | 'blocking' | 'queue';

// Without replyMapping, which we never set: the driver's constructors tie the types of replies to it.
type NodeOptions = Omit<RedisOptions, 'replyMapping'>;

// maxRetriesPerRequest 0: a closed connection fails what was under way at once, and we know what may be asked again; the driver
// does not. socketTimeout: a partition leaves a socket open that stays silent for minutes. BullMQ's is not lazy: it takes the
// first failed connect() of a lazy one for final.
const roles: Record<Role, NodeOptions> = {
  commands: { commandTimeout: 2_000, maxRetriesPerRequest: 0, socketTimeout: 3_000, lazyConnect: true },
  blocking: { maxRetriesPerRequest: 0, socketTimeout: 3_000, lazyConnect: true },
  queue: { commandTimeout: 2_000, maxRetriesPerRequest: 1, socketTimeout: 3_000, lazyConnect: false },
};
const CONNECT_MS = 1_500;
/** Pause before a reconnect: 50 ms, doubling to 1 s, ±25 %, so that backends do not knock in step. Never gives up. */
const reconnectDelayMs = (times: number): number =>
  Math.round(Math.min(1_000, 50 * 2 ** Math.min(times - 1, 10)) * (0.75 + Math.random() / 2));

/** A connection of that role, opened at its first command. The caller closes it with `disconnect()`. Throws `invalid-request` for a URL it cannot read. */
export function connect(url: string, role: Role): Connection {
  const target = parseRedisUrl(url);
  const connection = target.kind === 'cluster' ? openCluster(target, role) : new Redis(nodeOptions(target, role));
  connection.on('error', () => undefined); // without a listener the driver prints stacks; the call that suffers says it
  return connection;
}

export function isCluster(url: string): boolean {
  return parseRedisUrl(url).kind === 'cluster';
}

function nodeOptions(target: RedisTarget, role: Role): NodeOptions {
  const [node] = target.nodes;
  return {
    ...roles[role],
    ...access(target),
    db: target.db,
    retryStrategy: reconnectDelayMs,
    // After a failover the old master answers READONLY; only a new connection asks who the master is.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
    ...(target.masterName === undefined
      ? { host: node.host, port: node.port }
      : { sentinels: [...target.nodes], name: target.masterName, sentinelRetryStrategy: reconnectDelayMs }),
  };
}

function openCluster(target: RedisTarget, role: Role): Cluster {
  const { lazyConnect = true, ...perNode } = roles[role];
  return new Cluster([...target.nodes], {
    lazyConnect,
    clusterRetryStrategy: reconnectDelayMs,
    redisOptions: { ...perNode, ...access(target) },
  });
}

function access({ username, password, tls }: RedisTarget): NodeOptions {
  return {
    connectTimeout: CONNECT_MS,
    connectionName: 'fleet-client',
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: {} } : {}),
  };
}
