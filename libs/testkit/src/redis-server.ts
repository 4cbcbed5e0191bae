import { createServer } from 'node:net';
import { once } from 'node:events';
import { withDeadline } from '@tavus-fleet/lifecycle';
import { startRedisContainer } from './redis-container.ts';
import { startRedisProcess } from './redis-process.ts';

export interface RedisOptions {
  /** Write every change to disk before answering, so that `kill()` and `restart()` lose nothing. Default: memory only. */
  readonly appendOnly?: boolean;
  /** Default: a free one. It stays the same over every restart. */
  readonly port?: number;
}

/** A Redis of our own, and the ways in which one fails. Everything resolves when it is done; `stop()` may be called twice. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Only of a process, and the one that runs now: a restart changes it. */
  readonly pid?: number;
  readonly kind: 'container' | 'process';
  /** Ends it and removes its data. */
  stop(): Promise<void>;
  /** The socket stays open and nothing answers. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Gone at once, no goodbye; data stays for `restart()`. */
  kill(): Promise<void>;
  /** Up again on the same port, and answering; from a running one too. Without `appendOnly` it comes back empty. */
  restart(): Promise<void>;
}

const START_TIMEOUT_MS = 30_000;
let announced = false;

/**
 * Starts a Redis: in a container where a Docker engine answers and holds the image (`$REDIS_IMAGE`, else
 * redis:7-bookworm; nothing is pulled), else as a process. Prints once per process which of the two it was. Either way
 * it ends with the process that started it, also if that is killed.
 */
export async function startRedis(options: RedisOptions = {}, signal?: AbortSignal): Promise<RedisServer> {
  const settings = { appendOnly: options.appendOnly ?? false, port: options.port ?? (await freePort()) };
  const server = await withDeadline({ signal, ms: START_TIMEOUT_MS, what: 'Starting Redis' }, async (inner) => {
    return (await startRedisContainer(settings, inner)) ?? (await startRedisProcess(settings, inner));
  });
  if (!announced) process.stderr.write(`Redis runs as a ${server.kind} at 127.0.0.1:${server.port}\n`);
  announced = true;
  return server;
}

/** A port that nobody listens on now. Somebody may take it before we do: then starting fails, and loudly. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('The system gave no port.');
  return address.port;
}
