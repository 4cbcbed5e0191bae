// What comes from outside while a conversation lives: Tavus' callbacks with everything that goes wrong with them, webhooks out, and
// malformed entries and jobs by the ten thousand, after which speech is heard as ever.
import { randomBytes } from 'node:crypto';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { Queue } from 'bullmq';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { Receiver, WHOLE } from '../fixtures/receiver.ts';
import { expectWhole, figures, judge } from './fixtures/judge.ts';
import { RATE } from './fixtures/producer.ts';
import { eventually } from './fixtures/users.ts';
import { World } from './fixtures/world.ts';

const COUNT = 10_000;
const JOBS = process.env['FULL'] ? COUNT : 1_000;
/** Conversations for each switch of Tavus' callbacks. */
const EACH = process.env['FULL'] ? 20 : 1;
const TIMEOUT_MS = 60_000 + EACH * 30_000;

let world: World;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await Receiver.start();
  world = await World.start(receiver.envFor('demo'));
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  await receiver?.[Symbol.asyncDispose]();
});

afterEach(() => world.sim.heal());

const stream = async (id: string): Promise<{ type: string; data: Record<string, unknown> }[]> => {
  const entries = await world.producer.redis.xrange(`fleet:{${id}}:events`, '-', '+');
  return entries.map(([, fields]) => ({
    type: fields[1] ?? '',
    data: z.record(z.string(), z.unknown()).parse(JSON.parse(fields[7] ?? '{}')),
  }));
};

const droppedCallbacks = async (): Promise<number> =>
  z.object({ droppedByFault: z.number() }).parse(await (await fetch(`${world.sim.url}/sim/webhooks`)).json())
    .droppedByFault;

it(
  `${EACH} with callbacks that come twice: every move and the transcript reach the backend once`,
  async () => {
    await world.sim.fault({ fault: 'webhook-duplicate' });
    for (let n = 0; n < EACH; n += 1) {
      const conversation = await world.caller.start({ metadata: { order: 7 } });
      await conversation.untilState('live');
      await conversation.post('stop');
      expect(await conversation.untilEnded()).toBe('stopped');
      const { id } = conversation;
      const told = (): readonly string[] => receiver.typesOf(id);
      const isWhole = (): boolean => told().includes('conversation.message') && told().includes('conversation.ended');
      await eventually('the transcript and the end', isWhole, 15_000);
      // Tavus sends the transcript when it likes: before our own word on the end, or after it.
      expect(told().filter((type) => type !== 'conversation.message')).toEqual(WHOLE);
      expect(told()).toHaveLength(WHOLE.length + 1);
      expect(receiver.of(id).every(({ said }) => JSON.stringify(said.data['metadata']) === '{"order":7}')).toBe(true);
      expect((await stream(id)).filter(({ type }) => type === 'message')).toHaveLength(1);
      expect(await conversation.view()).toMatchObject({ tavusShutdownReason: 'end_conversation_endpoint_hit' });
      expect(receiver.wrong).toEqual([]);
      const logged = [world.stack.api, ...world.stack.workers].flatMap((service) => service.lines()).join('\n');
      expect(logged).not.toContain(`callback/${id}`);
    }
  },
  TIMEOUT_MS,
);

it(
  `${EACH} with callbacks that never come: a stop and Tavus’ own end are known from the room, only the transcript is missing`,
  async () => {
    await world.sim.fault({ fault: 'webhook-drop' });
    const before = await droppedCallbacks();
    for (let n = 0; n < EACH; n += 1) {
      const [stopped, cut] = await Promise.all([world.caller.start({}), world.caller.start({})]);
      await Promise.all([stopped.untilState('live'), cut.untilState('live')]);
      await stopped.post('stop');
      await world.sim.fault({ fault: 'minutes-run-out', match: (await cut.view()).tavusConversationId ?? '' });
      expect(await Promise.all([stopped.untilEnded(), cut.untilEnded()])).toEqual(['stopped', 'tavus-ended']);
      for (const { id } of [stopped, cut]) {
        await eventually('the end', () => receiver.typesOf(id).includes('conversation.ended'), 15_000);
        expect(receiver.typesOf(id).filter((type) => type !== 'conversation.error')).toEqual(WHOLE);
      }
      expect((await stopped.view())['tavusShutdownReason']).toBeUndefined();
    }
    // Joined, shut down and the transcript, of each: that they were to come, and did not.
    expect((await droppedCallbacks()) - before).toBeGreaterThanOrEqual(2 * 3 * EACH);
    expect((await world.sim.state()).billing.unended).toEqual([]);
  },
  TIMEOUT_MS,
);

it('a call that Tavus cut, and one that broke before it began: known by Tavus’ own word', async () => {
  const cut = await world.caller.start({});
  await cut.untilState('live');
  await world.sim.fault({ fault: 'minutes-run-out', match: (await cut.view()).tavusConversationId ?? '' });
  expect(await cut.untilEnded()).toBe('tavus-ended');
  await eventually('the reason', async () => (await cut.view())['tavusShutdownReason'] !== undefined, 5_000);
  expect(await cut.view()).toMatchObject({ tavusShutdownReason: 'max_call_duration reached' });

  await world.sim.fault({ fault: 'replica-never-joins' });
  const broken = await world.caller.start({});
  await eventually('the call', async () => (await broken.view()).tavusConversationId !== undefined, 15_000);
  const tavusId = (await broken.view()).tavusConversationId ?? '';
  const answer = await fetch(`${world.sim.url}/v2/conversations/${tavusId}`, { headers: { 'x-api-key': 'simulated' } });
  const { callback_url: url } = z.object({ callback_url: z.string() }).parse(await answer.json());
  const toldAtMs = Date.now();
  const body = {
    conversation_id: tavusId,
    event_type: 'system.shutdown',
    properties: { shutdown_reason: 'exception_encountered_during_conversation_startup' },
  };
  const headers = { 'content-type': 'application/json' };
  const called = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(called.status).toBe(200);
  expect(await broken.untilEnded()).toBe('start-failed');
  figures('shutdown called back', { toEndedMs: Date.now() - toldAtMs });
});

it('ten thousand malformed entries and jobs beside a conversation: told in a few events, and speech is heard whole', async () => {
  const conversation = await world.caller.start({});
  await conversation.untilState('live');
  const { redis } = world.producer;
  const key = `fleet:{${conversation.id}}:frames`;

  const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
  const text = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.constantFrom('-1', '1e9', 'NaN', '__proto__', '{"a":'.repeat(2_000)),
  );
  const entry = fc.oneof(
    fc.tuple(
      fc.constant('type'),
      text.filter((type) => !/^(tts-|end$|cancel$|interruption$|message$|settings)/.test(type)),
    ),
    fc.tuple(fc.constantFrom('', 'kind', '__proto__', 'constructor'), bytes),
    fc.tuple(fc.constant('type'), fc.constant('tts-audio'), fc.constant('rate'), text, fc.constant('audio'), bytes),
    fc.tuple(
      fc.constant('type'),
      fc.constant('tts-audio'),
      fc.constant('channels'),
      fc.constantFrom('0', '3', '-', '1.5'),
      fc.constant('audio'),
      bytes,
    ),
    fc.tuple(fc.constant('type'), fc.constant('tts-audio'), fc.constant('audio'), fc.constant('')),
    fc.tuple(
      fc.constant('type'),
      fc.constantFrom('message', 'settings-update'),
      fc.constant('json'),
      fc.oneof(
        bytes.map((b) => Buffer.concat([Buffer.from([0xff]), b])),
        fc.constant('{"a":'.repeat(2_000)),
      ),
    ),
  );
  const entries = fc.sample(entry, { numRuns: COUNT, seed: 31 });
  for (let at = 0; at < COUNT; at += 500) {
    const pipeline = redis.pipeline();
    for (const fields of entries.slice(at, at + 500)) pipeline.xadd(key, 'MAXLEN', '~', 12_000, '*', ...fields);
    await pipeline.exec();
  }
  const { port } = new URL(world.stack.redisUrl);
  const queueOf = (name: string): Queue =>
    new Queue(name, { connection: { host: '127.0.0.1', port: Number(port) }, prefix: '{fleet}' });
  const queues = { sessions: queueOf('sessions'), control: queueOf('control') };
  const data = fc.sample(fc.jsonValue({ maxDepth: 3 }), { numRuns: JOBS, seed: 37 });
  await queues.sessions.addBulk(data.map((value) => ({ name: 'start', data: value })));
  await queues.control.addBulk(
    data.map((value, n) => ({ name: n % 2 === 0 ? 'stop' : randomBytes(3).toString('hex'), data: value })),
  );
  const failed = async (): Promise<number> =>
    (await Promise.all(Object.values(queues).map((queue) => queue.getFailedCount()))).reduce((a, b) => a + b);
  await eventually('every job refused', async () => (await failed()) >= Math.min(2 * JOBS, 2_000), 60_000);
  for (const queue of Object.values(queues)) {
    const reasons = (await queue.getFailed(0, 200)).map(({ failedReason }) => failedReason);
    expect(reasons.every((reason) => /^[^:]+: .+/.test(reason))).toBe(true);
    await queue.close();
  }

  const seen = async (): Promise<number> =>
    (await stream(conversation.id)).reduce(
      (sum, { type, data: { code, count } }) =>
        sum + (type === 'error' && code === 'malformed-frame' ? Number(count ?? 1) : 0),
      0,
    );
  await eventually('all told', async () => (await seen()) === COUNT, 20_000);
  const sent = chirpWalk({ rate: RATE, ms: 3_000, seed: 77 });
  await world.producer.say(conversation.id, sent, 'live');
  await conversation.post('stop');
  expect(await conversation.untilEnded()).toBe('stopped');
  const { counters, tavusConversationId = '' } = await conversation.view();
  expect(counters['framesMalformed']).toBe(COUNT);
  const heard = judge(sent, await world.sim.heard(tavusConversationId));
  const events = await stream(conversation.id);
  figures('flood', { events: events.length, malformed: counters['framesMalformed'], heard });
  expect(events.length).toBeLessThan(100);
  expect(events[0]).toMatchObject({ type: 'state', data: { state: 'queued' } });
  expectWhole(heard);
  const trouble = world.stack.workers
    .flatMap((service) => service.lines())
    .filter((line) => /unhandled|uncaught/i.test(line));
  expect(trouble).toEqual([]);
});
