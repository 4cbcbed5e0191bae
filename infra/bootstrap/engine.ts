import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { root } from './paths.mjs';

const UP_MS = 5 * 60_000;
const script = join(root, 'infra/ci/engine.sh');
let isTried = false;
let isOurs = false;

/**
 * On a CI machine that could have a Docker engine and has none, starts one, so that suites run on containers there. Anywhere else
 * nothing happens, and asking again does nothing. Never fails the run: without an engine everything is proved on processes, and the line printed says so.
 */
export async function startEngine(): Promise<void> {
  if (isTried) return;
  isTried = true;
  if (!process.env['CI'] || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get') || (await answers())) return;
  // npm's own files; `npm test` is how we were started.
  const npm = process.env['npm_execpath'];
  if (npm === undefined) return;
  const started = performance.now();
  const failure = await up([script, 'up', process.execPath, dirname(dirname(npm))]);
  isOurs = true; // also what came up half must go down
  const seconds = Math.round((performance.now() - started) / 1000);
  if (failure === undefined) {
    process.env['DOCKER_CONFIG'] = join(root, '.cache/engine/config');
    process.stdout.write(`Docker engine started in ${seconds} s: Redis runs in containers\n`);
  } else {
    await stopEngine();
    process.stdout.write(
      `no Docker engine (${failure}, ${seconds} s): Redis runs as processes, images are not tested\n`,
    );
  }
}

/** Ends what was started here; may be called when nothing was. */
export async function stopEngine(): Promise<void> {
  if (!isOurs) return;
  isOurs = false;
  await promisify(execFile)('bash', [script, 'down'], { timeout: 60_000 }).catch((error: unknown) =>
    process.stdout.write(`the Docker engine did not stop: ${String(error).split('\n')[0]}\n`),
  );
}

async function answers(): Promise<boolean> {
  return promisify(execFile)('docker', ['info'], { timeout: 10_000 }).then(
    () => true,
    () => false, // no program, or nobody listens
  );
}

/** Its last line when it fails. Its own process group, so that at the deadline nothing of it goes on; the engine has left it. */
function up(argv: readonly string[]): Promise<string | undefined> {
  const child = spawn('bash', argv, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let last = 'nothing was said';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      last = text.trim().split('\n').at(-1) ?? last;
    });
  const timer = setTimeout(() => {
    last = `not within ${UP_MS / 60_000} minutes; ${last}`;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, UP_MS);
  // 'exit', not 'close': the engine keeps the pipes of whoever started it.
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code) => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve(code === 0 ? undefined : last);
    });
  });
}
