// People who know the documented interfaces and none of our code: redis-cli as the producer, HTTP by hand, plain BullMQ, a
// page of daily-js in the user room. What they get is judged by content.
import { randomUUID } from 'node:crypto';
import { Stack, type Listeners } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Caller } from './fixtures/caller.ts';
import { between, expectWhole, face, figures, judge } from './fixtures/judge.ts';
import { RATE } from './fixtures/producer.ts';
import { plainRedis } from './fixtures/redis-cli.ts';
import { SimulatorView } from './fixtures/simulator-view.ts';
import { eventually, joinRoom, startUsers, untilPictures } from './fixtures/users.ts';

let stack: Stack;
let sim: SimulatorView;
let users: Listeners;
let redis: Redis;

beforeAll(async () => {
  stack = await Stack.start({ env: process.env }, AbortSignal.timeout(60_000));
  sim = new SimulatorView(stack.simulator.url);
  await sim.small();
  users = await startUsers();
  redis = new Redis(stack.redisUrl);
});

afterAll(async () => {
  redis?.disconnect();
  await users?.[Symbol.asyncDispose]();
  await stack?.close();
});

describe('redis-cli, HTTP by hand and a page of daily-js', () => {
  it('make an avatar speak that everybody in the room hears and sees, also who comes late', async () => {
    const early = await joinRoom(users, sim.url, 'strangers');
    const caller = new Caller(stack.api.url, stack.apiKey);
    const conversation = await caller.start({ output: { room: { url: `${sim.url}/rooms/strangers`, name: 'Ada' } } });
    await conversation.untilState('live');
    await untilPictures(early, 5);

    const { by, run } = plainRedis(stack.redisUrl);
    const stream = `fleet:{${conversation.id}}:frames`;
    const add = (...fields: string[]): string[] => ['XADD', stream, 'MAXLEN', '~', '12000', '*', ...fields];
    const say = async (samples: Int16Array): Promise<number> => {
      await run(add('type'), Buffer.from('tts-started'));
      const startedMs = Date.now();
      const piece = RATE / 4;
      for (let at = 0; at < samples.length; at += piece)
        expect(
          await run(
            add('type', 'tts-audio', 'rate', String(RATE), 'channels', '1', 'audio'),
            Buffer.from(samples.slice(at, at + piece).buffer),
          ),
        ).toMatch(/\d+-\d+/);
      await run(add('type'), Buffer.from('tts-stopped'));
      return startedMs;
    };
    const fell = (afterMs: number): Promise<unknown> =>
      conversation.until(
        'the end of speech',
        ({ type, seenAtMs }) => type === 'bot-stopped-speaking' && seenAtMs > afterMs,
      );

    const first = chirpWalk({ rate: RATE, ms: 3_000, seed: 61 });
    const firstMs = await say(first);
    await fell(firstMs);
    const firstToMs = Date.now();

    const late = await joinRoom(users, sim.url, 'strangers');
    const lateMs = Date.now();
    await untilPictures(late, 3);
    const lateSawMs = Date.now() - lateMs;
    const second = chirpWalk({ rate: RATE, ms: 2_000, seed: 62 });
    const secondMs = await say(second);
    await fell(secondMs);
    const secondToMs = Date.now();

    const [byEarly, byLate] = await Promise.all([
      early.report(AbortSignal.timeout(10_000)),
      late.report(AbortSignal.timeout(10_000)),
    ]);
    const heard = {
      first: judge(first, between(byEarly, firstMs, firstToMs)),
      second: judge(second, between(byEarly, secondMs, secondToMs)),
      late: judge(second, between(byLate, secondMs, secondToMs)),
    };
    const seen = { early: face(byEarly, firstMs, firstToMs), late: face(byLate, secondMs, secondToMs) };
    figures('strangers', { by, heard, seen, lateSawMs });
    for (const one of Object.values(heard)) expectWhole(one);
    for (const one of Object.values(seen)) expect(one.fresh).toBeGreaterThan(15);
    await run(add('type'), Buffer.from('end'));
    expect(await conversation.untilEnded()).toBe('stopped');
    await Promise.all([early.leave(AbortSignal.timeout(5_000)), late.leave(AbortSignal.timeout(5_000))]);
  });
});

describe('a backend with plain BullMQ', () => {
  const field = (id: string, name: string): Promise<string | null> => redis.hget(`fleet:{${id}}:record`, name);
  const isState = (id: string, state: string) => async (): Promise<boolean> => (await field(id, 'state')) === state;

  it('starts and stops by jobs, also by a stop in the same breath, and cancels before a start', async () => {
    const { hostname: host, port } = new URL(stack.redisUrl);
    const options = { connection: { host, port: Number(port) }, prefix: '{fleet}' };
    const sessions = new Queue('sessions', options);
    const control = new Queue('control', options);
    const ids = { calm: `calm-${randomUUID()}`, hasty: `hasty-${randomUUID()}`, never: `never-${randomUUID()}` };
    const data = (conversationId: string): object => ({
      v: 1,
      conversationId,
      request: { replicaId: 'r-queue', output: { room: { url: `${sim.url}/rooms/${conversationId}` } } },
    });
    try {
      const startedMs = Date.now();
      await sessions.add('start', data(ids.calm));
      const liveMs = await eventually('live', isState(ids.calm, 'live'), 15_000);
      expect(await sim.bots(ids.calm)).toHaveLength(2);
      await control.add('stop', { v: 1, conversationId: ids.calm, reason: 'enough' });
      const stoppedMs = await eventually('ended', isState(ids.calm, 'ended'), 10_000);
      expect(await field(ids.calm, 'endReason')).toBe('stopped');

      await Promise.all([
        sessions.add('start', data(ids.hasty)),
        control.add('stop', { v: 1, conversationId: ids.hasty }),
      ]);
      const hastyMs = await eventually('the end of what was stopped at once', isState(ids.hasty, 'ended'), 20_000);
      expect(await field(ids.hasty, 'endReason')).toBe('stopped');

      const cancel = await control.add('cancel', { v: 1, conversationId: ids.never });
      const start = await sessions.add('start', data(ids.never));
      await eventually(
        'the end of what was canceled first',
        async () => ['canceled', 'ended'].includes((await field(ids.never, 'state')) ?? ''),
        20_000,
      );
      expect(await field(ids.never, 'endReason')).toBe('canceled');
      await eventually(
        'both jobs done',
        async () => (await cancel.isCompleted()) && (await start.isCompleted()),
        10_000,
      );

      figures('bullmq', { liveMs, stoppedMs, hastyMs, allMs: Date.now() - startedMs });
      const { billing } = await sim.state();
      expect(billing.unended).toEqual([]);
      for (const id of Object.values(ids)) expect(await sim.bots(id)).toEqual([]);
    } finally {
      await Promise.all([sessions.close(), control.close()]);
    }
  });

  it('is told by the failed job what is wrong with its data', async () => {
    const { hostname: host, port } = new URL(stack.redisUrl);
    const sessions = new Queue('sessions', { connection: { host, port: Number(port) }, prefix: '{fleet}' });
    try {
      const wrong: [string, object][] = [
        ['conversationId', { v: 1, conversationId: '../etc', request: { replicaId: 'r' } }],
        ['v', { v: 2, conversationId: 'x', request: { replicaId: 'r' } }],
        ['request.replicaId', { v: 1, conversationId: 'x', request: {} }],
      ];
      for (const [named, data] of wrong) {
        const job = await sessions.add('start', data);
        await eventually(`the failure of ${named}`, () => job.isFailed(), 10_000);
        const failed = await sessions.getJob(job.id ?? '');
        expect(failed?.failedReason).toContain(named);
      }
    } finally {
      await sessions.close();
    }
  });
});
