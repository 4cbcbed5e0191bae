import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { resolve } from 'node:path';
import { startRedis, type RedisServer } from '@tavus-fleet/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

// The process as an operator runs it: by environment only, with Redis coming and going under it.
const headers = { authorization: 'Bearer test-key', 'content-type': 'application/json' };
const started: ChildProcess[] = [];
let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis({ appendOnly: true });
});
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL');
  await redis.stop();
});

type Api = {
  readonly url: string;
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;
  readonly output: () => string;
};

function run(env: Record<string, string>): {
  child: ChildProcess;
  output: () => string;
  exited: Promise<unknown>;
  listening: Promise<string>;
} {
  const child = spawn(process.execPath, [resolve(import.meta.dirname, 'main.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  let text = '';
  const listening = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      text += `${line}\n`;
      const url = /"url":"([^"]+)".*"msg":"api listening"/.exec(line)?.[1];
      if (url !== undefined) listening.resolve(url);
    });
  }
  const exited = once(child, 'close').then(([code]: unknown[]) => code);
  return { child, output: () => text, exited, listening: listening.promise };
}

async function startApi(): Promise<Api> {
  const sha256 = createHash('sha256').update('test-key').digest('hex');
  const { child, output, exited, listening } = run({
    REDIS_URL: redis.url,
    API_KEYS: `test:${sha256}`,
    API_PORT: '0',
    TAVUS_BASE_URL: 'http://127.0.0.1:9',
    LOG_LEVEL: 'debug',
    KEY_PREFIX: 'main-test',
  });
  return { url: await listening, child, exited, output };
}

const status = async (url: string): Promise<number> => (await fetch(url, { headers })).status;
/** A start's status, its problem's code, and how long it took, ms. */
const start = async (api: Api): Promise<{ status: number; code: unknown; ms: number }> => {
  const begun = performance.now();
  const answer = await fetch(`${api.url}/v1/conversations`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ replicaId: 'r' }),
  });
  const json: unknown = await answer.json();
  return {
    status: answer.status,
    code: typeof json === 'object' && json !== null && 'code' in json ? json.code : undefined,
    ms: performance.now() - begun,
  };
};

describe('the api process', () => {
  it('prints everything wrong with its environment and exits 78', async () => {
    const { exited, output } = run({ API_PORT: 'x', API_HOST: '0.0.0.0' });
    expect(await exited).toBe(78);
    for (const line of [
      'API_PORT must be a whole number',
      'API_KEYS is required unless API_HOST is loopback',
      'FLEET_ID is required unless TAVUS_BASE_URL is loopback',
    ])
      expect(output()).toContain(line);
    expect(output()).not.toContain('    at ');
  });

  it('stays up without Redis, says so, and recovers by itself; the same when Redis goes silent', async () => {
    await redis.kill();
    const api = await startApi();
    expect(await status(`${api.url}/healthz`)).toBe(200);
    expect(await status(`${api.url}/readyz`)).toBe(503);
    const refused = await start(api);
    expect(refused).toMatchObject({ status: 503, code: 'redis-unavailable' });
    expect(refused.ms).toBeLessThan(2500);

    await redis.restart();
    await expect.poll(() => status(`${api.url}/readyz`), { timeout: 10_000 }).toBe(200);
    await expect.poll(async () => (await start(api)).status, { timeout: 10_000 }).toBe(202);

    await redis.pause();
    const silent = await start(api);
    expect(silent).toMatchObject({ status: 503, code: 'redis-unavailable' });
    expect(silent.ms).toBeLessThan(2500);
    expect(await status(`${api.url}/healthz`)).toBe(200);
    await redis.resume();
    await expect.poll(() => status(`${api.url}/readyz`), { timeout: 10_000 }).toBe(200);
    await expect.poll(async () => (await start(api)).status, { timeout: 10_000 }).toBe(202);

    api.child.kill('SIGTERM');
    expect(await api.exited).toBe(0);
  });

  it('leaves in order on SIGTERM: not ready first, event streams end with a hint, exit 0', async () => {
    const api = await startApi();
    await expect.poll(() => status(`${api.url}/readyz`)).toBe(200);
    const made: unknown = await (
      await fetch(`${api.url}/v1/conversations`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ replicaId: 'r', conversationId: 'draining' }),
      })
    ).json();
    expect(made).toMatchObject({ state: 'queued' });
    const events = await fetch(`${api.url}/v1/conversations/draining/events`, { headers });
    const begun = performance.now();
    api.child.kill('SIGTERM');
    expect(await events.text()).toContain(': draining, come back');
    expect(await status(`${api.url}/readyz`)).toBe(503);
    expect(await api.exited).toBe(0);
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(api.output()).not.toContain('test-key');
  });

  it('is not cut short by the echo of a signal: a terminal and npm may both send it', async () => {
    const api = await startApi();
    api.child.kill('SIGTERM');
    await expect.poll(() => api.output()).toContain('api draining');
    api.child.kill('SIGTERM');
    expect(await api.exited).toBe(0);
  });

  it('exits 1 at once at a second signal that comes later', async () => {
    const api = await startApi();
    // A request that never becomes whole holds the orderly way out open.
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined); // cut by the exit: what this test is about
    socket.write(`POST /v1/conversations HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Length: 10\r\n\r\n`);
    await once(socket, 'connect');
    const begun = performance.now();
    api.child.kill('SIGTERM');
    await expect.poll(() => performance.now() - begun, { timeout: 3_000 }).toBeGreaterThan(1_200);
    api.child.kill('SIGTERM');
    expect(await api.exited).toBe(1);
    socket.destroy();
  });
});
