// `npm test [-- --only unit,lint] [--full] [--verbose]`: every step, even after a failed one, then the verdict.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startEngine, stopEngine } from './engine.ts';
import { root } from './paths.mjs';
import { SetupError } from './report.mjs';
import { reportDir, steps, type Step } from './steps.ts';
import { countReports, verdict, type Outcome } from './verdict.ts';

const KILL_AFTER_MS = 5000;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    full: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

function chosen(): readonly Step[] {
  const names = options.only.split(',').filter((name) => name !== '');
  const unknown = names.filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) {
    throw new SetupError(`no step ${unknown.join(', ')}; there are ${steps.map(({ name }) => name).join(', ')}`);
  }
  return names.length === 0 ? steps : steps.filter(({ name }) => names.includes(name));
}

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort(signal));

/** Runs one step with its output in a file, and shows the file if it failed: a green run stays one screen long. */
async function perform(step: Step): Promise<Outcome> {
  const started = performance.now();
  const durationMs = (): number => performance.now() - started;
  if (step.reports) rmSync(step.reports, { recursive: true, force: true });
  const log = join(reportDir, `${step.name}.log`);
  try {
    await prepare(step);
  } catch (error) {
    // A machine without Redis or a browser fails the steps that need them; the others still say what they know.
    process.stdout.write(`${String(error)}\n`);
    return { name: step.name, passed: 0, failed: 1, skipped: 0, durationMs: durationMs(), note: 'failed: its setup' };
  }
  const exitCode = await execute(step, log);
  const single = { passed: exitCode === 0 ? 1 : 0, failed: exitCode === 0 ? 0 : 1, skipped: 0 };
  const count = step.reports ? countReports(step.reports, exitCode) : single;
  if (count.failed > 0 && !options.verbose) process.stdout.write(readFileSync(log, 'utf8'));
  return { name: step.name, ...count, durationMs: durationMs() };
}

async function execute(step: Step, log: string): Promise<number> {
  const output = createWriteStream(log);
  // Its own process group: at the deadline everything that the step started goes with it.
  const child = spawn(process.execPath, step.argv, {
    cwd: root,
    env: stepEnv(),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const stop = (why: string): void => {
    output.write(`\n${step.name} ${why}\n`);
    killGroup(child.pid, 'SIGTERM');
    setTimeout(() => killGroup(child.pid, 'SIGKILL'), KILL_AFTER_MS).unref();
  };
  const timer = setTimeout(() => stop(`took longer than ${step.timeoutMs / 60_000} minutes`), step.timeoutMs);
  const onInterrupt = (): void => stop('was interrupted');
  interrupted.signal.addEventListener('abort', onInterrupt, { once: true });
  for (const stream of [child.stdout, child.stderr]) {
    stream.pipe(output, { end: false });
    if (options.verbose) stream.pipe(process.stdout, { end: false });
  }
  // 'close', not 'exit': only then is all of the output in the file.
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  interrupted.signal.removeEventListener('abort', onInterrupt);
  output.end();
  await once(output, 'close');
  return code ?? 1;
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function stepEnv(): NodeJS.ProcessEnv {
  const bins = join(root, 'node_modules/.bin');
  return {
    ...process.env,
    PATH: `${bins}:${process.env['PATH'] ?? ''}`,
    NX_DAEMON: 'false',
    NO_COLOR: '1',
    ...(options.full ? { FULL: '1' } : {}),
  };
}

async function prepare(step: Step): Promise<void> {
  if (step.needs?.includes('engine')) await startEngine();
  if (step.needs?.includes('helm')) await (await import('./helm.ts')).ensureHelm();
  if (step.needs?.includes('redis')) await (await import('./redis.ts')).ensureRedis();
  if (step.needs?.includes('chromium')) await (await import('./chromium.ts')).ensureChromium();
}

async function main(): Promise<void> {
  const wanted = chosen();
  mkdirSync(reportDir, { recursive: true });
  const outcomes: Outcome[] = [];
  for (const step of wanted) {
    if (interrupted.signal.aborted) break;
    const spoiled = outcomes.some(({ name, failed }) => name === step.after && failed > 0);
    if (spoiled) {
      outcomes.push({
        name: step.name,
        passed: 0,
        failed: 0,
        skipped: 1,
        durationMs: 0,
        note: `skipped: ${step.after} failed`,
      });
      continue;
    }
    process.stdout.write(`▸ ${step.name}\n`);
    outcomes.push(await perform(step));
  }
  const { text, ok } = verdict(outcomes);
  process.stdout.write(`${text}\n`);
  process.exitCode = interrupted.signal.aborted ? 130 : ok ? 0 : 1;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
} finally {
  await stopEngine();
}
