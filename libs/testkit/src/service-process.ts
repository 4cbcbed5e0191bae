import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { withDeadline } from '@tavus-fleet/lifecycle';

const READY_MS = 60_000;
const STOP_MS = 20_000;

/** One of our services as a process of its own, as an operator would start it: by environment only. */
export type ServiceProcess = {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
  /** The line it printed when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Resolves with its exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  /** Everything it printed so far; bounded to the newest 5 000 lines. */
  lines(): readonly string[];
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL after 20 s. May be called twice. */
  stop(): Promise<number | string>;
};

export type ServiceOptions = {
  readonly name: string;
  readonly main: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onLine?: (line: string) => void;
};

/** Starts a service and resolves when it printed `"msg":"<name> listening"`. Rejects with its last lines when it exits before. */
export async function startService(
  { name, main, env, onLine }: ServiceOptions,
  signal: AbortSignal,
): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const ready = Promise.withResolvers<Readonly<Record<string, unknown>>>();
  const exited = new Promise<number | string>((resolve) =>
    child.once('exit', (code, killedBy) => resolve(code ?? killedBy ?? 'unknown')),
  );
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > 5_000) lines.shift();
      onLine?.(line);
      const parsed = parseLine(line);
      if (parsed?.['msg'] === `${name} listening`) ready.resolve(parsed);
    });
  }
  child.once('error', ready.reject);
  void exited.then((how) =>
    ready.reject(new Error(`${name} exited with ${how} before it was ready:\n${lines.slice(-20).join('\n')}`)),
  );
  try {
    const line = await withDeadline({ signal, ms: READY_MS, what: `Starting ${name}` }, () => ready.promise);
    return {
      name,
      pid: child.pid ?? -1,
      url: String(line['url']),
      ready: line,
      exited,
      lines: () => lines,
      kill: (killSignal) => void child.kill(killSignal),
      stop: () => stop(child, exited),
    };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

async function stop(child: ChildProcess, exited: Promise<number | string>): Promise<number | string> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  try {
    return await exited;
  } finally {
    clearTimeout(timer);
  }
}

function parseLine(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : undefined;
  } catch {
    return undefined;
  }
}
