import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { untilRedisAnswers } from './redis-answers.ts';
import { findRedisServer } from './redis-binary.ts';
import type { RedisServer } from './redis-server.ts';

/**
 * Waits until its stdin closes, which the system does for us however we die, then ends what is left. A handler in our
 * own process would not run after SIGKILL.
 */
const GUARD =
  'trap "" INT TERM HUP; while read -r line; do server=$line; done; kill -9 $server 2>/dev/null; rm -rf "$1"';

/** What a redis-server is told, given its folder. */
export type RedisCommand = (dir: string) => readonly string[];

/** A redis-server child. Invariant: `child` is the newest one, and the guard knows its pid. */
class RedisProcess implements RedisServer {
  readonly kind = 'process';
  readonly url: string;
  readonly port: number;
  readonly #binary: string;
  readonly #dir: string;
  readonly #command: readonly string[];
  readonly #guard: ChildProcess;
  #child: ChildProcess | undefined;
  #stopped: Promise<void> | undefined;

  constructor(binary: string, dir: string, port: number, command: readonly string[]) {
    this.#binary = binary;
    this.#dir = dir;
    this.#command = command;
    this.port = port;
    this.url = `redis://127.0.0.1:${port}`;
    // Its own session: a Ctrl-C or a kill of our whole process group must not take the guard along.
    this.#guard = spawn('/bin/sh', ['-c', GUARD, 'guard', dir], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#guard.unref();
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async launch(signal?: AbortSignal): Promise<void> {
    // Own session as well: Ctrl-C is for the product, which still needs its Redis to close in order.
    const child = spawn(this.#binary, this.#command, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const said = tail(child);
    this.#child = child;
    await once(child, 'spawn');
    this.#guard.stdin?.write(`${child.pid}\n`);
    child.unref();
    const died = once(child, 'exit').then(() => {
      throw new Error(`redis-server ended while starting: ${said()}`);
    });
    await Promise.race([untilRedisAnswers(this.port, signal), died]);
    died.catch(() => undefined); // it dies some day; that is only news while starting
  }

  async pause(): Promise<void> {
    this.#child?.kill('SIGSTOP');
  }

  async resume(): Promise<void> {
    this.#child?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.ref();
    child.kill('SIGKILL'); // also ends a paused one
    await ended;
  }

  async restart(): Promise<void> {
    if (this.#stopped) throw new Error('This Redis was stopped for good; its data is gone.');
    await this.kill();
    await this.launch();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  async #end(): Promise<void> {
    await this.kill();
    const ended = once(this.#guard, 'exit');
    this.#guard.ref();
    this.#guard.kill('SIGKILL');
    await ended;
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** One server by itself. */
export function startRedisProcess(
  { port, appendOnly }: { port: number; appendOnly: boolean },
  signal: AbortSignal,
): Promise<RedisServer> {
  return launchRedisProcess(port, (dir) => dataNode(port, dir, { appendOnly }), signal);
}

/** Arguments of a server that holds data; what it keeps on disk stays in its folder. */
export function dataNode(
  port: number,
  dir: string,
  { appendOnly = false, extra = [] }: { appendOnly?: boolean; extra?: readonly string[] } = {},
): readonly string[] {
  const durable = appendOnly ? ['yes', '--appendfsync', 'always'] : ['no'];
  const where = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir];
  return [...where, '--save', '', '--appendonly', ...durable, ...extra];
}

export async function launchRedisProcess(
  port: number,
  command: RedisCommand,
  signal: AbortSignal,
): Promise<RedisServer> {
  const binary = findRedisServer();
  if (!binary) throw new Error('No redis-server: run `npm test` once, which unpacks one, or set REDIS_SERVER_BIN.');
  const dir = await mkdtemp(join(tmpdir(), 'tavus-fleet-redis-'));
  const server = new RedisProcess(binary, dir, port, command(dir));
  try {
    await server.launch(signal);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** The last of what a child prints, for the error if it fails; read to the end, since a full pipe would block it. */
function tail(child: ChildProcess): () => string {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      lines.push(text);
      lines.splice(0, lines.length - 5);
    });
  }
  return () => lines.join('').trim();
}
