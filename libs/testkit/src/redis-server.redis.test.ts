import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { redisFixture } from './redis-fixture.ts';
import { startRedis, type RedisServer } from './redis-server.ts';

const open: { disconnect(): void }[] = [];
const servers: RedisServer[] = [];

async function start(options: Parameters<typeof startRedis>[0] = {}): Promise<{ server: RedisServer; client: Redis }> {
  const server = await startRedis(options);
  servers.push(server);
  const client = new Redis(server.url, { commandTimeout: 200, maxRetriesPerRequest: 0, retryStrategy: () => 20 });
  client.on('error', () => undefined); // ioredis prints errors that nobody listens to; the commands below reject anyway
  open.push(client);
  return { server, client };
}

afterEach(async () => {
  for (const client of open.splice(0)) client.disconnect();
  for (const server of servers.splice(0)) await server.stop();
});

describe('startRedis', () => {
  it('answers nothing while paused, and again when resumed', async () => {
    const { server, client } = await start();
    await client.set('k', 'v');
    await server.pause();
    await expect(client.get('k')).rejects.toThrow(/timed out/i);
    await server.resume();
    await vi.waitFor(async () => expect(await client.get('k')).toBe('v'));
  });

  it.each([
    { appendOnly: true, left: 'v' },
    { appendOnly: false, left: null },
  ])('restarts on the same port after a kill; append only $appendOnly leaves $left', async ({ appendOnly, left }) => {
    const { server, client } = await start({ appendOnly });
    await client.set('k', 'v');
    await server.kill();
    await expect(client.get('k')).rejects.toThrow(/closed|timed out|max retries|ECONNREFUSED/i);
    await server.restart();
    const again = new Redis(server.url);
    open.push(again);
    expect(await again.get('k')).toBe(left);
  });

  it('may be stopped twice, and then nothing listens and no data is left', async () => {
    const { server, client } = await start();
    const [, before] = await client.config('GET', 'dir').then((answer) => answer as [string, string]);
    await Promise.all([server.stop(), server.stop()]);
    const late = new Redis(server.url, { retryStrategy: null, maxRetriesPerRequest: 0 });
    late.on('error', () => undefined);
    await expect(late.ping()).rejects.toThrow(/closed|ECONNREFUSED/i);
    expect(existsSync(before)).toBe(false);
  });

  it('does not start when its signal is aborted already', async () => {
    await expect(startRedis({}, AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
  });

  it('ends, and takes its data along, when the process that started it is killed', async () => {
    const source = `import { startRedis } from '${import.meta.dirname}/redis-server.ts';
      const { pid, url } = await startRedis(); console.log(pid + ' ' + url); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const [pid, url = ''] = line.toString().trim().split(' ');
    const client = new Redis(url, { retryStrategy: null });
    const [, dir] = (await client.config('GET', 'dir')) as [string, string];
    client.disconnect();
    expect(existsSync(dir)).toBe(true);
    child.kill('SIGKILL');
    await vi.waitFor(() => expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH'), { timeout: 3000 });
    await vi.waitFor(() => expect(existsSync(dir)).toBe(false), { timeout: 3000 });
  });
});

describe('redisFixture', () => {
  const redis = redisFixture({ allow: /kept-on-purpose$/ });

  it('gives a shared server and a prefix of this file', async () => {
    const client = redis.connect();
    await client.set(`${redis.keyPrefix}:kept-on-purpose`, '1');
    await client.set(`${redis.keyPrefix}:short-lived`, '1', 'EX', 60);
    expect(await client.keys(`${redis.keyPrefix}:*`)).toHaveLength(2);
    expect(redis.fleetId).not.toBe(redis.keyPrefix);
  });
});
