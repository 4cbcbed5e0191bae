// Redis is gone for 20 s (killed, started again from its append-only file) under live conversations that speak. Silence of Redis takes
// nothing from anybody: what was read is played on, nobody takes over, and each owner goes on with its own epoch. FULL=1: ten times.
import { EventLog } from '@tavus-fleet/redis';
import { startRedis, type RedisServer } from '@tavus-fleet/testkit';
import { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { figures } from '../e2e/fixtures/judge.ts';
import { FleetWorld } from './fixtures/fleet-world.ts';
import { report, today } from './fixtures/report.ts';
import { countedSound, speak } from './fixtures/speech.ts';

const rounds = process.env['FULL'] ? 10 : 1;
const GONE_MS = 20_000;
/** Longer than Redis is away: the page holds ten seconds of it, the worker the rest. */
const SPEECH_MS = 24_000;
const SOON = { timeout: 20_000, interval: 50 };

let server: RedisServer;
let redis: Redis;
let world: FleetWorld;
beforeEach(async () => {
  server = await startRedis({ appendOnly: true });
  redis = new Redis(server.url);
  redis.on('error', () => undefined); // it is taken away on purpose
  world = await FleetWorld.start({ redisUrl: server.url, keyPrefix: 'stopped', redis, workers: 2 });
});
afterEach(async () => {
  await world?.[Symbol.asyncDispose]();
  redis?.disconnect();
  await server?.stop();
});

const playedMs = (id: string): number =>
  world.workers
    .flatMap(({ rooms }) => rooms.opened.filter((room) => room.identity.conversationId === id))
    .reduce((sum, room) => sum + room.written.byteLength / 48, 0);

it(`Redis stopped for 20 s under four live conversations, ${rounds} times: media goes on, nobody takes over, every owner keeps its epoch`, async () => {
  const ids = await Promise.all(Array.from({ length: 4 }, () => world.start()));
  for (const id of ids) await expect.poll(async () => (await world.view(id)).state, SOON).toBe('live');
  const before = new Map(await Promise.all(ids.map(async (id) => [id, await world.view(id)] as const)));
  const backMs: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const id of ids) await speak(world, id, countedSound(SPEECH_MS));
    await expect.poll(() => Math.min(...ids.map(playedMs)), SOON).toBeGreaterThan((round - 1) * SPEECH_MS + 1_000);
    await server.kill();
    const playedBefore = ids.map(playedMs);
    await pause(GONE_MS); // waits: the time in which Redis is away is what is tested
    // Still in their rooms, and still speaking.
    expect(ids.map((id, at) => playedMs(id) - (playedBefore[at] ?? 0) > 5_000)).toEqual(ids.map(() => true));
    const restartedAt = Date.now();
    await server.restart();
    const leased = async (): Promise<boolean[]> =>
      Promise.all(ids.map(async (id) => (await redis.get(world.keys.conversation(id).lease)) !== null));
    await expect.poll(leased, SOON).toEqual(ids.map(() => true));
    backMs.push(Date.now() - restartedAt);
    for (const id of ids)
      await expect.poll(async () => Math.round((await world.view(id)).counters.playedMs), SOON).toBe(round * SPEECH_MS);
    for (const id of ids) {
      const { epoch, workerId, tavusConversationId } = await world.view(id);
      const was = before.get(id);
      expect({ epoch, workerId, tavusConversationId }).toEqual({
        epoch: 1,
        workerId: was?.workerId,
        tavusConversationId: was?.tavusConversationId,
      });
    }
  }
  figures('redis stopped', { rounds, backMs });
  for (const id of ids) {
    const { events } = await new EventLog(redis, world.keys).read(id, '0', 2_000);
    expect(events.filter(({ type }) => type === 'takeover' || type === 'frames-dropped')).toEqual([]);
  }
  await Promise.all(ids.map((id) => world.verb(id, 'stop')));
  await expect.poll(() => world.open(), SOON).toEqual([]);
  const { made, stale } = world.judge();
  expect([...new Set(made.values())]).toEqual([1]);
  expect(stale).toEqual([]);
  report('redis-stopped', 'Redis stopped under live conversations', [
    `${today()}, \`FULL=1 npx vitest run --project faults test/faults/redis-stopped.test.ts\`: ${rounds} times killed, started again from its`,
    'append-only file 20 s later; four conversations that speak, two workers; rooms without a browser.',
    '',
    'Takeovers: 0. Epochs raised: 0. Dropped frames: 0. Speech went on while Redis was away. All leases were there again after at most',
    `${Math.max(...backMs)} ms, Redis' own start included.`,
  ]);
}, 900_000);
