import { redisFixture, startRedis } from '@tavus-fleet/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { connectRedis } from './connect.ts';
import { createKeys } from './keys.ts';
import { silentLog } from './log.ts';
import { StreamReader } from './stream-reader.ts';
import { ClusterStreamReader } from './cluster-stream-reader.ts';

const fixture = redisFixture({ allow: /:frames$/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

let count = 0;
const stream = (): string => keys.conversation(`s${++count}`).frames;
const blocking = (name: string) => connectRedis(fixture.url, { role: 'blocking', name, log: silentLog });
function reader(name = `reader-${++count}`): StreamReader {
  const made = new StreamReader({ blocking: blocking(name), bell: { key: keys.bell(name), commands: redis } });
  open.push(made);
  return made;
}
const add = (key: string, n: number) => redis.xadd(key, '*', 'n', String(n));
const numbers = (from = 0, to = 0): number[] => Array.from({ length: to - from }, (_, i) => from + i);
/** Subscribes and gathers the numbers that came. */
function gather(source: { subscribe: StreamReader['subscribe'] }, key: string, from = '0') {
  const seen: number[] = [];
  const stop = source.subscribe(key, from, (entries) =>
    seen.push(...entries.map((entry) => Number(entry.fields.get('n')))),
  );
  return { seen, stop };
}

describe('one connection for all', () => {
  it('reads 50 streams, each in order, each entry once', async () => {
    const source = reader();
    const streams = numbers(0, 50).map(() => stream());
    const gathered = streams.map((key) => gather(source, key));
    for (const n of numbers(0, 40)) await Promise.all(streams.map((key) => add(key, n)));
    await expect.poll(() => gathered.reduce((sum, each) => sum + each.seen.length, 0), { timeout: 5000 }).toBe(2000);
    for (const each of gathered) expect(each.seen).toEqual(numbers(0, 40));
  });

  it('reads what was there before, from the id that was given', async () => {
    const key = stream();
    for (const n of numbers(0, 300)) await add(key, n);
    const tenth = (await redis.xrange(key, '-', '+', 'COUNT', 10)).at(-1)?.[0] ?? '';
    const { seen } = gather(reader(), key, tenth);
    await expect.poll(() => seen.length, { timeout: 3000 }).toBe(290);
    expect(seen).toEqual(numbers(10, 300));
  });

  it('takes a stream in within 50 ms while blocked, and hands out nothing after its end', async () => {
    const source = reader();
    const first = gather(source, stream());
    const delays: number[] = [];
    for (const n of numbers(0, 20)) {
      const key = stream();
      await add(key, n);
      const asked = performance.now();
      await new Promise<void>((resolve) => {
        const stop = source.subscribe(key, '0', () => {
          delays.push(performance.now() - asked);
          stop();
          resolve();
        });
      });
    }
    expect(Math.max(...delays)).toBeLessThan(50);
    expect(source.size).toBe(1);
    expect(first.seen).toEqual([]);
  });

  async function idOf(name: string): Promise<string> {
    const lines = String(await redis.client('LIST')).split('\n');
    return /^id=(\d+)/.exec(lines.find((line) => line.includes(`name=${name} `)) ?? '')?.[1] ?? '';
  }

  it('loses and doubles nothing when its connection is killed, again and again', async () => {
    const name = `victim-${++count}`;
    const source = reader(name);
    const streams = numbers(0, 10).map(() => stream());
    const gathered = streams.map((key) => gather(source, key));
    let kills = 0;
    for (const n of numbers(0, 200)) {
      await Promise.all(streams.map((key) => add(key, n)));
      if (n % 20 !== 10) continue;
      // Each time only once it is back: a kill that finds nobody would prove nothing.
      await expect.poll(() => idOf(name), { timeout: 3000 }).toMatch(/^\d+$/);
      const clientId = await idOf(name);
      kills += Number(await redis.client('KILL', 'ID', clientId));
    }
    await expect.poll(() => gathered.reduce((sum, each) => sum + each.seen.length, 0), { timeout: 8000 }).toBe(2000);
    for (const each of gathered) expect(each.seen).toEqual(numbers(0, 200));
    expect(kills).toBe(10);
  });

  it('gives two subscribers of one stream each its own position', async () => {
    const key = stream();
    const source = reader();
    for (const n of numbers(0, 200)) await add(key, n);
    const early = gather(source, key);
    await expect.poll(() => early.seen.length).toBe(200);
    const late = gather(source, key);
    for (const n of numbers(200, 210)) await add(key, n);
    await expect.poll(() => [early.seen.length, late.seen.length], { timeout: 3000 }).toEqual([210, 210]);
    expect([early.seen, late.seen]).toEqual([numbers(0, 210), numbers(0, 210)]);
    early.stop();
    await add(key, 210);
    await expect.poll(() => late.seen.length).toBe(211);
    expect(early.seen).toHaveLength(210);
  });

  it('a subscriber that throws, and a key that is no stream, harm nobody', async () => {
    const source = reader();
    const [bad, good, wrong] = [stream(), stream(), stream()];
    await redis.set(wrong, 'x', 'EX', 60);
    source.subscribe(bad, '0', () => {
      throw new Error('mine');
    });
    source.subscribe(wrong, '0', () => undefined);
    const { seen } = gather(source, good);
    for (const n of numbers(0, 5)) await Promise.all([add(bad, n), add(good, n)]);
    await expect.poll(() => seen, { timeout: 3000 }).toEqual(numbers(0, 5));
    expect(source.callbackErrors).toBeGreaterThan(0);
  });

  it('closes at once, twice, and before it ever read', async () => {
    const source = reader();
    gather(source, stream());
    const asked = performance.now();
    await source.close();
    await source.close();
    expect(performance.now() - asked).toBeLessThan(300);
    expect(() => source.subscribe('k', '0', () => undefined)).toThrow('closed');
    await reader().close();
  });

  it('refuses $ as a start', () => {
    expect(() => reader().subscribe('k', '$', () => undefined)).toThrow('entry id');
  });

  it('notices a Redis that is silent, and reads on when it is back', async () => {
    const server = await startRedis();
    const commands = connectRedis(server.url, { role: 'commands', name: 'c', log: silentLog });
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (_: unknown, message: string) => void warnings.push(message) };
    const source = new StreamReader({
      blocking: connectRedis(server.url, { role: 'blocking', name: 'b', log }),
      bell: { key: keys.bell('w'), commands },
      log,
      blockMs: 200,
      graceMs: 300,
    });
    const key = stream();
    const { seen } = gather(source, key);
    await commands.xadd(key, '*', 'n', '0');
    await expect.poll(() => seen).toEqual([0]);
    await server.pause();
    await expect.poll(() => warnings, { timeout: 3000 }).toContain('redis is silent; connecting again');
    await server.resume();
    await expect.poll(() => commands.xadd(key, '*', 'n', '1').catch(() => null), { timeout: 5000 }).not.toBeNull();
    await expect.poll(() => seen.includes(1), { timeout: 5000 }).toBe(true);
    await source.close();
    commands.disconnect();
    await server.stop();
  });
});

it('a connection each keeps the same promises', async () => {
  const source = new ClusterStreamReader(() => blocking('each'));
  open.push(source);
  const [a, b] = [stream(), stream()];
  const [first, second] = [gather(source, a), gather(source, b)];
  for (const n of numbers(0, 10)) await Promise.all([add(a, n), add(b, n)]);
  await expect.poll(() => [first.seen, second.seen]).toEqual([numbers(0, 10), numbers(0, 10)]);
  first.stop();
  expect(source.size).toBe(1);
});
