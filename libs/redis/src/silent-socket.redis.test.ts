// A partition: the socket stays open for ever and no byte comes. Only a new connection gets through.
// The driver alone would wait for minutes; each role must replace its connection by itself.
import { redisFixture, SilentProxy } from '@tavus-fleet/testkit';
import { expect, it } from 'vitest';
import { connectRedis, ensureConnected } from './connect.ts';
import { createKeys } from './keys.ts';
import { silentLog } from './log.ts';
import { StreamReader } from './stream-reader.ts';

const fixture = redisFixture({ allow: /:frames$/ });
const keys = createKeys(fixture.keyPrefix);

const lossyWay = (): Promise<SilentProxy> => SilentProxy.start(Number(new URL(fixture.url).port));

it('the reader reads on, without loss or doubling', async () => {
  using way = await lossyWay();
  const redis = fixture.connect();
  const blocking = connectRedis(way.url, { role: 'blocking', name: 'b', log: silentLog });
  const bell = { key: keys.bell('silent'), commands: redis };
  const source = new StreamReader({ blocking, bell, blockMs: 200, graceMs: 300 });
  const stream = keys.conversation('silent').frames;
  const seen: string[] = [];
  source.subscribe(stream, '0', (entries) => seen.push(...entries.map((entry) => entry.id)));
  const added = [await redis.xadd(stream, '*', 'n', '1')];
  await expect.poll(() => seen).toEqual(added);
  way.mute();
  added.push(await redis.xadd(stream, '*', 'n', '2'));
  await expect.poll(() => seen, { timeout: 4000 }).toEqual(added);
  await source.close();
});

it.each([
  { role: 'commands', withinMs: 6000 },
  { role: 'lease', withinMs: 4000 },
] as const)('a connection for $role is there again within $withinMs ms', async ({ role, withinMs }) => {
  using way = await lossyWay();
  const connection = connectRedis(way.url, { role, name: role, log: silentLog });
  await ensureConnected(connection);
  await connection.ping();
  way.mute();
  const asked = performance.now();
  const ask = (): Promise<string> => connection.ping().catch(() => 'no answer');
  expect(await ask()).toBe('no answer');
  await expect.poll(ask, { timeout: withinMs, interval: 50 }).toBe('PONG');
  expect(performance.now() - asked).toBeLessThan(withinMs);
  connection.disconnect();
});
