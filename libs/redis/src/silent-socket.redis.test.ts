// A partition: the socket stays open for ever and no byte comes. Only a new connection gets through.
// The driver alone would wait for minutes; each role must replace its connection by itself.
import { redisFixture, SilentProxy } from '@tavus-fleet/testkit';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { connectRedis, ensureConnected } from './connect.ts';
import { createKeys } from './keys.ts';
import { silentLog } from './log.ts';
import { Queues } from './queues.ts';
import { StreamReader } from './stream-reader.ts';

const fixture = redisFixture({ allow: /:frames$|:control:/ });
const keys = createKeys(fixture.keyPrefix);

const lossyWay = (): Promise<SilentProxy> => SilentProxy.start(Number(new URL(fixture.url).port));

/** A reader behind that way, which has heard one entry already. `add` writes past it. */
async function reading(way: SilentProxy, id: string) {
  const redis = fixture.connect();
  const blocking = connectRedis(way.url, { role: 'blocking', name: 'b', log: silentLog });
  const bell = { key: keys.bell(id), commands: redis };
  const source = new StreamReader({ blocking, bell, blockMs: 200, graceMs: 300 });
  const stream = keys.conversation(id).frames;
  const seen: string[] = [];
  const added: (string | null)[] = [];
  source.subscribe(stream, '0', (entries) => seen.push(...entries.map((entry) => entry.id)));
  const add = async (): Promise<void> => void added.push(await redis.xadd(stream, '*', 'n', '1'));
  await add();
  await expect.poll(() => seen).toEqual(added);
  return { source, add, seen, added };
}

it('a reader that is closed between two attempts to read ends without a word', async () => {
  const unheard: unknown[] = []; // what would end the process
  const hear = (error: unknown): void => void unheard.push(error);
  process.on('unhandledRejection', hear);
  const failed = Promise.withResolvers<void>();
  const log = { info: () => undefined, warn: () => failed.resolve() };
  const blocking = connectRedis('redis://127.0.0.1:1', { role: 'blocking', name: 'b', log: silentLog });
  const source = new StreamReader({ blocking, log });
  const unsubscribe = source.subscribe('stream', '0', () => undefined);
  await failed.promise;
  unsubscribe();
  await source.close();
  await pause(50); // waits: an unhandled rejection is told when all microtasks are through
  process.off('unhandledRejection', hear);
  expect(unheard).toEqual([]);
});

it('the reader reads on, without loss or doubling', async () => {
  using way = await lossyWay();
  const { source, add, seen, added } = await reading(way, 'silent');
  way.mute();
  await add();
  await expect.poll(() => seen, { timeout: 4000 }).toEqual(added);
  await source.close();
});

it('the reader reads on after a partition in which a new connection was made, and met nobody', async () => {
  using way = await lossyWay();
  const { source, add, seen, added } = await reading(way, 'cut');
  way.cut();
  await expect.poll(() => way.met, { timeout: 4000 }).toBeGreaterThan(0);
  way.mend();
  await add();
  await expect.poll(() => seen, { timeout: 4000 }).toEqual(added);
  await source.close();
});

it.each([
  { role: 'commands', withinMs: 5000 },
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

it('queues that nobody uses notice a partition by themselves: the first job after it is taken at once', async () => {
  using way = await lossyWay();
  const queues = new Queues(way.url, fixture.keyPrefix);
  await queues.enqueue('stop', { v: 1, conversationId: 'silent' });
  way.cut();
  await pause(4_000); // waits: nobody uses them, and that is what is tested
  way.mend();
  await pause(2_500); // waits: the connection that was opened last before the return gives up, and the next one is there
  const asked = performance.now();
  await queues.enqueue('stop', { v: 1, conversationId: 'silent' });
  expect(performance.now() - asked).toBeLessThan(500);
  await queues.close();
});
