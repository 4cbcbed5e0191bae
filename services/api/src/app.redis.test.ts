import { redisFixture } from '@tavus-fleet/testkit';
import { systemClock } from '@tavus-fleet/lifecycle';
import { EventLog, Queues, Records, WorkerRegistry, createKeys } from '@tavus-fleet/redis';
import { createMetrics } from '@tavus-fleet/telemetry';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildApp, type App } from './app.ts';
import { RedisBackend } from './redis/backend.ts';
import { World, asA, asB, body } from './test-world.ts';

// A conversation that is not over has no TTL yet, and nobody here ends each of them.
const fixture = redisFixture({ allow: /:(record|secrets|frames|events|workers)$|:sessions:/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const records = new Records(redis, keys);
const metrics = createMetrics({ only: ['fleet_queue_oldest_seconds'] });
const world = new World();

let queues: Queues;
let backend: RedisBackend;
let app: App;

beforeAll(async () => {
  queues = new Queues(fixture.url, fixture.keyPrefix);
  const { log } = world.deps();
  backend = new RedisBackend({ url: fixture.url, keyPrefix: fixture.keyPrefix, log, metrics });
  app = await buildApp({ ...world.deps(), ...backend.ports, log, metrics, clock: systemClock });
});
afterAll(async () => {
  await app.close();
  await backend[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
  await queues.close();
});

const post = (url: string, payload: object, headers: Record<string, string> = asA) =>
  app.inject({ method: 'POST', url, payload, headers });
const get = (url: string, headers: Record<string, string> = asA) => app.inject({ url, headers });
const start = async (payload: object = body, headers: Record<string, string> = asA): Promise<string> => {
  const answer = await post('/v1/conversations', payload, headers);
  expect([answer.statusCode, answer.body]).toMatchObject([202, expect.any(String)]);
  return answer.json<{ conversationId: string }>().conversationId;
};
const jobsOf = async (id: string): Promise<unknown[]> =>
  (await queues.sessions.getJobs(['wait', 'prioritized']))
    .filter((job) => (job.data as { conversationId: string }).conversationId === id)
    .map((job) => [job.name, job.data]); // safe: our own jobs

describe('the API on Redis', () => {
  it('becomes ready', async () => {
    await expect.poll(async () => (await get('/readyz')).statusCode).toBe(200);
  });

  it('starts: record, secrets apart, first event, job', async () => {
    const id = await start();
    expect(await records.get(id)).toMatchObject({ state: 'queued', createdBy: 'a', spec: { replicaId: 'r1' } });
    expect(await records.secrets(id)).toEqual({
      userRoomUrl: body.output.room.url,
      userRoomToken: body.output.room.token,
    });
    expect(await jobsOf(id)).toEqual([['start', { v: 1, conversationId: id }]]);
    const shown = await get(`/v1/conversations/${id}`);
    expect(shown.json()).toMatchObject({ conversationId: id, state: 'queued' });
    expect(shown.body + JSON.stringify(await redis.hgetall(keys.conversation(id).record))).not.toMatch(
      /room-secret|token-secret/,
    );
  });

  it('takes the same Idempotency-Key as the same request, also twice at once', async () => {
    const headers = { ...asA, 'idempotency-key': 'once' };
    const ids = await Promise.all([start(body, headers), start(body, headers), start(body, headers)]);
    expect(new Set([...ids, await start(body, headers)]).size).toBe(1);
    expect(await jobsOf(ids[0])).toHaveLength(1);
    expect((await post('/v1/conversations', { ...body, replicaId: 'r2' }, headers)).json()).toMatchObject({
      status: 409,
      code: 'idempotency-key-reused',
    });
  });

  it('gives the key back with a refused id', async () => {
    await start({ ...body, conversationId: 'taken' });
    const headers = { ...asA, 'idempotency-key': 'refused' };
    expect((await post('/v1/conversations', { ...body, conversationId: 'taken' }, headers)).json()).toMatchObject({
      code: 'conversation-id-used',
    });
    await start(body, headers);
  });

  it('writes nothing for a bad body', async () => {
    const before = await redis.keys(`*${fixture.keyPrefix}*`);
    expect((await post('/v1/conversations', { replicaId: '' }, { ...asA, 'idempotency-key': 'bad' })).statusCode).toBe(
      400,
    );
    expect(new Set(await redis.keys(`*${fixture.keyPrefix}*`))).toEqual(new Set(before));
  });

  it('keeps conversations of another key out of sight', async () => {
    const id = await start();
    for (const answer of [
      await get(`/v1/conversations/${id}`, asB),
      await get(`/v1/conversations/${id}/events`, asB),
      await post(`/v1/conversations/${id}/cancel`, {}, asB),
    ])
      expect(answer.statusCode).toBe(404);
    expect((await records.get(id))?.desired).toBeUndefined();
    expect((await get('/v1/conversations', asB)).json()).toEqual({ conversations: [] });
    expect((await get('/v1/conversations?limit=1')).json()).toMatchObject({
      conversations: [{ conversationId: id }],
      cursor: expect.any(String),
    });
  });

  it('settles one that could not be announced, for good', async () => {
    const id = await start();
    expect(await backend.ports.conversations.failUnowned(id, 'start-failed')).toBe('ended');
    expect((await get(`/v1/conversations/${id}`)).json()).toMatchObject({ state: 'failed', endReason: 'start-failed' });
  });

  it('sends frames, settings and interruptions into the stream in order', async () => {
    const id = await start();
    expect((await post(`/v1/conversations/${id}/frames`, { type: 'tts-audio', audio: 'AQIDBA==' })).statusCode).toBe(
      202,
    );
    const answer = await app.inject({
      method: 'PATCH',
      url: `/v1/conversations/${id}/settings`,
      headers: asA,
      payload: { model: 'm2', extra: { maxVideoFps: 20 } },
    });
    expect(answer.json()).toEqual({ changed: { model: null, 'extra.maxVideoFps': null } });
    await post(`/v1/conversations/${id}/interrupt`, {});
    expect((await redis.xrange(keys.conversation(id).frames, '-', '+')).map(([, fields]) => fields[1])).toEqual([
      'tts-audio',
      'settings-update',
      'interruption',
    ]);
  });

  it('refuses audio, but no interruption, when the owner is too far behind', async () => {
    const id = await start();
    const pipeline = redis.pipeline();
    for (let i = 0; i < 11_000; i += 1) pipeline.xadd(keys.conversation(id).frames, '*', 'type', 'tts-stopped');
    await pipeline.exec();
    const answer = await post(`/v1/conversations/${id}/frames`, { type: 'tts-audio', audio: 'AQIDBA==' });
    expect(answer.json()).toMatchObject({ status: 429, code: 'stream-full' });
    expect((await post(`/v1/conversations/${id}/interrupt`, {})).statusCode).toBe(202);
  });

  it('streams events as they come, through one shared reader, until the end, and resumes', async () => {
    const id = await start();
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const watch = (after?: string): Promise<string> =>
      fetch(`${url}/v1/conversations/${id}/events`, {
        headers: { ...asA, ...(after === undefined ? {} : { 'last-event-id': after }) },
      }).then((answer) => answer.text());
    const all = Promise.all([watch(), watch()]);
    await new EventLog(redis, keys).appendUnowned(id, {
      type: 'error',
      data: { code: 'room-lost', category: 'connectivity', fatal: false },
    });
    expect((await post(`/v1/conversations/${id}/cancel`, {})).json()).toMatchObject({
      state: 'canceled',
      desired: 'cancel',
    });
    const types = (text: string): string[] => [...text.matchAll(/^event: (.*)$/gm)].map((match) => match[1] ?? '');
    for (const text of await all) expect(types(text)).toEqual(['state', 'error', 'state', 'ended']);
    const second = [...(await all)[0].matchAll(/^id: (.*)$/gm)][1]?.[1] ?? '';
    expect(types(await watch(second))).toEqual(['state', 'ended']);
    expect((await post(`/v1/conversations/${id}/cancel`, {})).statusCode).toBe(202);
    expect((await post(`/v1/conversations/${id}/stop`, {})).json()).toMatchObject({
      status: 409,
      code: 'conversation-over',
    });
  });

  it('shows workers without their addresses and drains one', async () => {
    const registry = new WorkerRegistry(redis, keys);
    const worker = {
      id: 'w1',
      capacity: 4,
      live: 1,
      load: 0.25,
      draining: false,
      version: '1',
      since: new Date(0).toISOString(),
      url: 'http://127.0.0.1:1',
    };
    await registry.heartbeat(worker);
    const { url: _, ...view } = worker;
    expect((await get('/v1/workers')).json()).toEqual({ workers: [view] });
    expect((await post('/v1/workers/w1/drain', {})).statusCode).toBe(202);
    expect(await registry.heartbeat(worker)).toEqual({ drain: true });
    expect((await post('/v1/workers/w2/drain', {})).statusCode).toBe(404);
  });

  it('measures how long the next one has waited', async () => {
    await start();
    expect((await get('/metrics')).body).toMatch(/^fleet_queue_oldest_seconds \d/m);
  });
});
