import { FleetError } from './errors.ts';

export type RedisNode = { readonly host: string; readonly port: number };

/** What a `REDIS_URL` says. */
export type RedisTarget = {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly nodes: readonly [RedisNode, ...RedisNode[]];
  /** Name of the master group; only for Sentinel. */
  readonly masterName?: string;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly db: number;
};

const shape =
  /^(?<scheme>redis|rediss|redis\+sentinel|redis\+cluster):\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^/?#]+)(?:\/(?<path>[^?#]*))?$/;

/**
 * Parses `redis://`, `rediss://`, `redis+sentinel://host,host/name[/db]` and `redis+cluster://host,host`, each with an
 * optional `user:password@` before the hosts. Written by hand because the platform's URL refuses lists of hosts with ports.
 * Throws `FleetError('invalid-request')`; its message never repeats the URL, which holds a password.
 */
export function parseRedisUrl(url: string): RedisTarget {
  const groups = shape.exec(url)?.groups;
  if (!groups)
    throw wrong(
      'must look like redis://host:port, rediss://…, redis+sentinel://host,host/name or redis+cluster://host,host',
    );
  const scheme = groups['scheme'];
  const kind = scheme === 'redis+sentinel' ? 'sentinel' : scheme === 'redis+cluster' ? 'cluster' : 'single';
  const [first, ...others] = (groups['hosts'] ?? '')
    .split(',')
    .map((text) => parseNode(text, kind === 'sentinel' ? 26_379 : 6379));
  if (!first) throw wrong('names no host');
  if (kind === 'single' && others.length > 0)
    throw wrong('names several hosts, which only redis+sentinel:// and redis+cluster:// may');
  const path = (groups['path'] ?? '').split('/').filter((part) => part !== '');
  const masterName = kind === 'sentinel' ? path.shift() : undefined;
  if (kind === 'sentinel' && masterName === undefined)
    throw wrong('must end in the name of the master group: redis+sentinel://host,host/name');
  const db = path[0] ?? '0';
  if (path.length > 1 || !/^\d{1,4}$/.test(db)) throw wrong('ends in something that is not a database number');
  if (kind === 'cluster' && db !== '0') throw wrong('names a database; a Cluster has only 0');
  return {
    kind,
    nodes: [first, ...others],
    tls: scheme === 'rediss',
    db: Number(db),
    ...(masterName === undefined ? {} : { masterName }),
    ...(groups['user'] ? { username: decode(groups['user']) } : {}),
    ...(groups['password'] === undefined ? {} : { password: decode(groups['password']) }),
  };
}

function parseNode(text: string, defaultPort: number): RedisNode {
  const match = /^(?:\[(?<v6>[0-9a-fA-F:]+)\]|(?<name>[^:[\]]+))(?::(?<port>\d{1,5}))?$/.exec(text);
  const host = match?.groups?.['v6'] ?? match?.groups?.['name'];
  if (host === undefined) throw wrong('holds a host that is not host or host:port');
  return { host, port: Number(match?.groups?.['port'] ?? defaultPort) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong('holds a user name or password with a stray %; encode it as %25');
  }
}

function wrong(problem: string): FleetError {
  return new FleetError('invalid-request', `REDIS_URL ${problem}.`, { field: 'REDIS_URL' });
}
