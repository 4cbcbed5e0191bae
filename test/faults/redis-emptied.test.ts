// Redis is killed under live conversations and comes back with nothing: no append-only file, an emptied disk. What the fleet knew is written
// again by those who know it. No call is cut, nobody takes over, and each can be spoken to, stopped and billed as before.
import { startRedis, type RedisServer } from '@tavus-fleet/testkit';
import { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { figures } from '../e2e/fixtures/judge.ts';
import { FleetWorld } from './fixtures/fleet-world.ts';
import { report, today } from './fixtures/report.ts';
import { countedSound, speak } from './fixtures/speech.ts';

const rounds = process.env['FULL'] ? 10 : 1;
/** An owner copies its records every 5 s. */
const COPIED_MS = 6_500;
const GONE_MS = 2_000;
const SPEECH_MS = 1_500;
const SOON = { timeout: 20_000, interval: 50 };

let server: RedisServer;
let redis: Redis;
let world: FleetWorld;
beforeEach(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
  redis.on('error', () => undefined); // it is taken away on purpose
  world = await FleetWorld.start({ redisUrl: server.url, keyPrefix: 'emptied', redis, workers: 2 });
});
afterEach(async () => {
  await world?.[Symbol.asyncDispose]();
  redis?.disconnect();
  await server?.stop();
});

it(`Redis comes back empty under five live conversations, ${rounds} times: all go on with their owners, and end as they are told`, async () => {
  const ids = await Promise.all(Array.from({ length: 5 }, () => world.start()));
  for (const id of ids) await expect.poll(async () => (await world.view(id)).state, SOON).toBe('live');
  const before = new Map(await Promise.all(ids.map(async (id) => [id, await world.view(id)] as const)));
  const backMs: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const id of ids) await speak(world, id, countedSound(SPEECH_MS));
    for (const id of ids)
      await expect.poll(async () => (await world.view(id)).counters.playedMs, SOON).toBeCloseTo(round * SPEECH_MS, -1);
    await pause(COPIED_MS); // waits: for the owners' own rhythm, which nothing outside tells of
    await server.kill();
    await pause(GONE_MS); // waits: the time in which Redis is away is what is tested
    await server.restart();
    const since = Date.now();
    const known = (): Promise<number[]> =>
      Promise.all(ids.map((id) => redis.exists(world.keys.conversation(id).lease)));
    await expect.poll(known, SOON).toEqual(ids.map(() => 1));
    backMs.push(Date.now() - since);
    for (const id of ids) {
      const was = before.get(id);
      expect(await world.view(id)).toMatchObject({
        state: 'live',
        epoch: 1,
        workerId: was?.workerId,
        tavusConversationId: was?.tavusConversationId,
        createdAt: was?.createdAt,
      });
    }
    await expect.poll(async () => (await world.ledger.open()).length, SOON).toBe(ids.length);
  }
  figures('redis emptied', { backMs });
  expect(Math.max(...backMs)).toBeLessThan(3_000);
  await Promise.all(ids.map((id) => world.verb(id, 'stop')));
  await expect.poll(() => world.open(), SOON).toEqual([]);
  for (const id of ids) expect((await world.view(id)).endReason).toBe('stopped');
  const { made, stale } = world.judge();
  expect([...new Set(made.values())]).toEqual([1]);
  expect(stale).toEqual([]);
  report('redis-emptied', 'Redis back without its data under live conversations', [
    `${today()}, \`FULL=1 npx vitest run --project faults test/faults/redis-emptied.test.ts\`: ${rounds} times killed, started again empty 2 s later; five`,
    'live conversations, two workers; rooms without a browser.',
    '',
    'Calls cut: 0. Takeovers: 0. Tavus conversations per conversation: 1. Un-ended at Tavus: 0. All records, leases and ledger rows were written again by',
    `their owners; the leases were there ${Math.max(...backMs)} ms after Redis was back, at most.`,
  ]);
}, 400_000);
