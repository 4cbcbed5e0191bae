import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { portOf } from './sim/port-of.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const LogLine = z.looseObject({ msg: z.string(), url: z.string().optional() });

const leftovers: (() => void)[] = [];
afterEach(() => {
  for (const undo of leftovers.splice(0)) undo();
});

/** Starts the real process; `url` is read from the line it prints when it listens. */
async function started(env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [MAIN], {
    env: { SIMULATOR_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  leftovers.push(() => child.kill('SIGKILL'));
  const url = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.once('exit', (code) => reject(new Error(`exited with ${code}`)));
    child.stdout.on('data', (part) => {
      text += String(part);
      for (const line of text.split('\n').slice(0, -1)) {
        const { msg, url } = LogLine.parse(JSON.parse(line));
        if (msg === 'simulator listening' && url !== undefined) resolve(url);
      }
    });
  });
  const post = (path: string, body: unknown) =>
    fetch(url + path, {
      method: 'POST',
      headers: { 'x-api-key': 'k', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  return { child, url, post };
}

const exit = async (child: ChildProcess): Promise<unknown> => (await once(child, 'exit'))[0];

/** A running conversation whose last webhook will hang, so that stopping takes its full second. */
async function withHangingWebhook({ post }: Awaited<ReturnType<typeof started>>): Promise<{ called: Promise<void> }> {
  const called = Promise.withResolvers<void>();
  const silent = createServer(() => called.resolve());
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  leftovers.push(() => silent.close());
  await post('/sim/settings', { createLatencyMs: 0, replicaJoinDelayMs: 600_000 });
  const { status } = await post('/v2/conversations', { callback_url: `http://127.0.0.1:${portOf(silent)}/` });
  expect(status).toBe(200);
  return { called: called.promise };
}

it('prints where it listens, serves, and stops with 0 on SIGTERM though a webhook hangs', async () => {
  const simulator = await started();
  expect(simulator.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(await (await fetch(`${simulator.url}/healthz`)).json()).toEqual({ status: 'ok' });
  await withHangingWebhook(simulator);
  const since = performance.now();
  simulator.child.kill('SIGTERM');
  expect(await exit(simulator.child)).toBe(0);
  expect(performance.now() - since).toBeLessThan(5_000);
});

it('the echo of a signal (terminal and npm both pass it on) does not cut the stop short', async () => {
  const simulator = await started();
  const { called } = await withHangingWebhook(simulator);
  simulator.child.kill('SIGINT');
  await called;
  simulator.child.kill('SIGINT');
  expect(await exit(simulator.child)).toBe(0);
});

it('a wrong environment is exit 78', async () => {
  const child = spawn(process.execPath, [MAIN], { env: { SIMULATOR_PORT: 'many' }, stdio: 'ignore' });
  leftovers.push(() => child.kill('SIGKILL'));
  expect(await exit(child)).toBe(78);
});
