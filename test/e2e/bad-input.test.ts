// What strangers send that is wrong, over HTTP and over the queue: it is refused by name and leaves nothing behind. And a
// Redis that goes away under the whole stack and comes back.
import { createHash, randomUUID } from 'node:crypto';
import { Stack, startRedis, type RedisServer, type ServiceProcess } from '@tavus-fleet/testkit';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Caller } from './fixtures/caller.ts';
import { figures } from './fixtures/judge.ts';
import { SimulatorView } from './fixtures/simulator-view.ts';
import { eventually } from './fixtures/users.ts';

const KEYS = { ours: 'key-of-ours', theirs: 'key-of-theirs' };
const Problem = z.looseObject({
  status: z.number(),
  code: z.string(),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
});

let server: RedisServer;
let stack: Stack;
let sim: SimulatorView;
let redis: Redis;
let ours: Caller;
let theirs: Caller;
let sessions: Queue;

beforeAll(async () => {
  server = await startRedis({ appendOnly: true });
  const hash = (key: string): string => createHash('sha256').update(key).digest('hex');
  const env = { ...process.env, API_KEYS: `ours:${hash(KEYS.ours)},theirs:${hash(KEYS.theirs)}` };
  stack = await Stack.start({ env, redisUrl: server.url }, AbortSignal.timeout(60_000));
  sim = new SimulatorView(stack.simulator.url);
  await sim.small();
  redis = new Redis(server.url);
  redis.on('error', () => undefined); // it is taken away below
  ours = new Caller(stack.api.url, KEYS.ours);
  theirs = new Caller(stack.api.url, KEYS.theirs);
  sessions = new Queue('sessions', { connection: { host: '127.0.0.1', port: server.port }, prefix: '{fleet}' });
  sessions.on('error', () => undefined); // as above
});

afterAll(async () => {
  await sessions?.close();
  redis?.disconnect();
  await stack?.close();
  await server?.stop();
});

async function problem(response: Response, status: number): Promise<z.infer<typeof Problem>> {
  const text = await response.text();
  expect({ status: response.status, text }).toEqual({ status, text });
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  return Problem.parse(JSON.parse(text));
}

/** Everything a start leaves behind: records and jobs of any state. */
async function traces(): Promise<{ records: number; jobs: number }> {
  const counts = await sessions.getJobCounts();
  return {
    records: (await redis.keys('fleet:{*}:record')).length,
    jobs: Object.values(counts).reduce((sum, count) => sum + count, 0),
  };
}

describe('over HTTP', () => {
  it('names every wrong field, refuses wrong keys and bodies, and leaves nothing behind', async () => {
    const before = await traces();
    const post = (body: unknown, headers?: Record<string, string>): Promise<Response> =>
      ours.ask('POST', '/v1/conversations', body, headers);
    expect((await problem(await post('{"replicaId":'), 400)).code).toBe('invalid-json');
    expect((await problem(await post('[]'), 400)).code).toBe('invalid-request');
    const { errors = [] } = await problem(
      await post({
        replica: 'r',
        personaId: 7,
        limits: { maxDurationSeconds: 0, forever: true },
        audio: { mode: 'loud' },
      }),
      400,
    );
    const named = errors.map(({ field }) => field);
    for (const field of [
      'replicaId',
      'replica',
      'personaId',
      'limits.maxDurationSeconds',
      'limits.forever',
      'audio.mode',
    ])
      expect(named).toContain(field);
    expect((await problem(await post({ replicaId: 'r', metadata: { long: 'x'.repeat(300_000) } }), 413)).code).toBe(
      'body-too-large',
    );
    expect(
      (await problem(await post('replicaId=r', { 'content-type': 'application/x-www-form-urlencoded' }), 415)).code,
    ).toBe('unsupported-media-type');
    expect(
      (await problem(await post({ replicaId: 'r', conversationId: '../../etc/passwd' }), 400)).errors?.[0]?.field,
    ).toBe('conversationId');

    expect(
      (
        await problem(
          await new Caller(stack.api.url, 'wrong').ask('POST', '/v1/conversations', { replicaId: 'r' }),
          401,
        )
      ).code,
    ).toBe('unauthorized');
    expect((await problem(await fetch(`${stack.api.url}/v1/conversations`), 401)).code).toBe('unauthorized');
    const unknown = randomUUID();
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['GET', '/events', undefined],
      ['POST', '/stop', undefined],
      ['POST', '/cancel', undefined],
      ['POST', '/interrupt', undefined],
      ['POST', '/frames', { type: 'tts-started' }],
      ['PATCH', '/settings', { model: 'm' }],
    ] as const)
      expect((await problem(await ours.ask(method, `/v1/conversations/${unknown}${path}`, body), 404)).code).toBe(
        'not-found',
      );
    expect(await traces()).toEqual(before);
  });

  it('opens no room but those of allowed hosts, and enqueues nothing for others', async () => {
    const before = await traces();
    const { port } = new URL(sim.url);
    const urls = [
      'http://rooms.daily.co/ada',
      'https://user:word@rooms.daily.co/ada',
      'https://rooms.daily.co:8443/ada',
      'https://rooms.example.com/ada',
      'https://daily.co.example.com/ada',
      'https://rooms.daily.co.example.com/ada',
      'https://evil-daily.co/ada',
      'https://daily.co/ada',
      'https://rooms.daily.co@example.com/ada',
      'https://example.com/rooms.daily.co',
      'https://rooms.daily.co',
      'https://127.0.0.1/ada',
      'https://[::1]/ada',
      `http://localhost:${port}/rooms/ada`,
      `http://127.0.0.1:${Number(port) + 1}/rooms/ada`,
      `https://127.0.0.1:${port}/rooms/ada`,
      'javascript:alert(1)',
      'data:text/html,ada',
      'file:///etc/passwd',
      'rooms.daily.co/ada',
      '',
      `https://rooms.daily.co/${'a'.repeat(2_000)}`,
    ];
    for (const url of urls) {
      const { errors } = await problem(
        await ours.ask('POST', '/v1/conversations', { replicaId: 'r', output: { room: { url } } }),
        400,
      );
      expect({ url, fields: errors?.map(({ field }) => field) }).toEqual({ url, fields: ['output.room.url'] });
    }
    expect(await traces()).toEqual(before);
    expect((await sim.state()).conversations).toEqual([]);
  });

  it('shows a conversation to nobody but the key that made it', async () => {
    const conversation = await ours.start({});
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['GET', '/events', undefined],
      ['POST', '/stop', undefined],
      ['POST', '/cancel', undefined],
      ['POST', '/frames', { type: 'tts-started' }],
    ] as const)
      expect(
        (await problem(await theirs.ask(method, `/v1/conversations/${conversation.id}${path}`, body), 404)).code,
      ).toBe('not-found');
    expect(JSON.stringify(await (await theirs.ask('GET', '/v1/conversations')).json())).not.toContain(conversation.id);
    expect(
      (
        await problem(
          await theirs.ask('POST', '/v1/conversations', { replicaId: 'r', conversationId: conversation.id }),
          409,
        )
      ).code,
    ).toBe('conversation-id-used');
    await conversation.untilState('live');
    await conversation.post('cancel');
    expect(await conversation.untilEnded()).toBe('canceled');
  });
});

describe('over the queue', () => {
  it('refuses the same room in a job of somebody else, and leaves no bill', async () => {
    const before = (await sim.state()).conversations.length;
    for (const url of [
      'https://rooms.example.com/ada',
      'http://rooms.daily.co/ada',
      'https://user:word@rooms.daily.co/ada',
    ]) {
      const conversationId = randomUUID();
      await sessions.add('start', { v: 1, conversationId, request: { replicaId: 'r', output: { room: { url } } } });
      const record = (): Promise<Record<string, string>> => redis.hgetall(`fleet:{${conversationId}}:record`);
      await eventually('the refusal', async () => (await record())['state'] === 'failed', 10_000);
      expect(await record()).toMatchObject({ state: 'failed', endReason: 'user-room-refused' });
      const events = await redis.xrange(`fleet:{${conversationId}}:events`, '-', '+');
      expect(
        events.map(([, fields]) => fields.join(' ')).filter((text) => text.includes('"field":"output.room.url"')),
      ).toHaveLength(1);
      expect(events.flatMap(([, fields]) => fields).join(' ')).not.toContain('/ada');
    }
    const { conversations, billing } = await sim.state();
    expect(billing.unended).toEqual([]);
    expect(conversations.length).toBe(before); // refused before anything was asked of Tavus
  });
});

describe('a Redis that goes away', () => {
  const alive = async (service: ServiceProcess): Promise<boolean> => (await fetch(`${service.url}/healthz`)).ok;
  const ready = async (service: ServiceProcess): Promise<number> =>
    (await fetch(`${service.url}/readyz`, { signal: AbortSignal.timeout(5_000) })).status;

  it.each([
    { how: 'is killed', leave: () => server.kill(), back: () => server.restart() },
    { how: 'is frozen', leave: () => server.pause(), back: () => server.resume() },
  ])('and $how: POST says 503 with a code, processes stay, and all works again', async ({ how, leave, back }) => {
    await leave();
    const askedMs = Date.now();
    const refused = await problem(await ours.ask('POST', '/v1/conversations', { replicaId: 'r' }), 503);
    const refusedMs = Date.now() - askedMs;
    expect(refused.code).toBe('redis-unavailable');
    const notReadyMs = await eventually('nobody is ready', async () => (await ready(stack.api)) === 503, 10_000);
    for (const service of [stack.api, ...stack.workers]) expect(await alive(service)).toBe(true);

    await back();
    const backMs = Date.now();
    await eventually('the api is ready', async () => (await ready(stack.api)) === 200, 15_000);
    const conversation = await ours.start({});
    await conversation.untilState('live', 30_000);
    figures(`redis ${how}`, { refusedMs, notReadyMs, backToLiveMs: Date.now() - backMs });
    await conversation.post('cancel');
    expect(await conversation.untilEnded()).toBe('canceled');
    expect((await sim.state()).billing.unended).toEqual([]);
  });
});
