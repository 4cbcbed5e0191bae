import { beforeEach, describe, expect, it } from 'vitest';
import { Client, problemIn } from './test-client.ts';
import { World, asA } from './test-world.ts';

let world: World;
let api: Client;

beforeEach(async () => {
  world = new World();
  const app = await world.app();
  api = new Client(app);
  return () => app.close();
});

describe('fleet', () => {
  it('names a persona, and passes on what Tavus said', async () => {
    expect((await api.ask({ method: 'GET', url: '/v1/personas/p1' })).json()).toEqual({
      personaId: 'p1',
      personaName: 'Name of p1',
    });
    expect(problemIn(await api.ask({ method: 'GET', url: '/v1/personas/gone' }))).toMatchObject({
      status: 404,
      code: 'not-found',
    });
    expect(problemIn(await api.ask({ method: 'GET', url: '/v1/personas/broken' }))).toMatchObject({
      status: 502,
      code: 'tavus-unavailable',
    });
    expect(problemIn(await api.ask({ method: 'GET', url: '/v1/personas/..%2Fx' }))).toMatchObject({ status: 400 });
  });

  it('shows workers and drains one', async () => {
    world.workers.set('w1', {
      id: 'w1',
      capacity: 10,
      live: 3,
      load: 0.3,
      draining: false,
      version: '1',
      since: '2026-01-01T00:00:00.000Z',
    });
    expect((await api.ask({ method: 'GET', url: '/v1/workers' })).json()).toMatchObject({
      workers: [{ id: 'w1', live: 3 }],
    });
    const answer = await api.ask({ method: 'POST', url: '/v1/workers/w1/drain' });
    expect([answer.statusCode, answer.json(), world.drained]).toEqual([202, { id: 'w1', draining: true }, ['w1']]);
    expect(problemIn(await api.ask({ method: 'POST', url: '/v1/workers/w2/drain' }))).toMatchObject({ status: 404 });
  });
});

describe('the process', () => {
  it('is not ready while it drains, but answers', async () => {
    world.draining.abort();
    expect(problemIn(await api.ask({ method: 'GET', url: '/readyz', headers: {} }))).toMatchObject({
      status: 503,
      code: 'shutting-down',
    });
    expect((await api.ask({ method: 'GET', url: '/healthz', headers: {} })).statusCode).toBe(200);
    await api.start();
  });

  it('gives its metrics to a key only', async () => {
    expect(problemIn(await api.ask({ method: 'GET', url: '/metrics', headers: {} }))).toMatchObject({ status: 401 });
    const answer = await api.ask({ method: 'GET', url: '/metrics' });
    expect(answer.headers['content-type']).toContain('text/plain');
    expect(answer.body).toContain('fleet_queue_oldest_seconds 0');
  });

  it.each([
    { headers: {}, why: 'no header' },
    { headers: { authorization: 'Bearer wrong' }, why: 'a wrong key' },
    { headers: { authorization: 'Basic key-of-a' }, why: 'another scheme' },
    { headers: { authorization: 'Bearer ' }, why: 'an empty key' },
  ])('lets nobody in with $why, before it reads anything', async ({ headers }) => {
    for (const [method, url] of [
      ['POST', '/v1/conversations'],
      ['GET', '/v1/conversations'],
      ['GET', '/v1/conversations/x/events'],
      ['GET', '/v1/workers'],
      ['POST', '/v1/workers/w/drain'],
      ['GET', '/v1/personas/p'],
    ] as const) {
      const answer = await api.ask({
        method,
        url,
        headers,
        ...(method === 'POST' ? { payload: { nonsense: 1 } } : {}),
      });
      expect(problemIn(answer)).toMatchObject({ status: 401, code: 'unauthorized', fields: {} });
      expect(answer.headers['www-authenticate']).toBe('Bearer');
    }
  });

  it('answers unknown paths and wrong methods with problems', async () => {
    expect(problemIn(await api.ask({ method: 'GET', url: '/v2/anything' }))).toMatchObject({
      status: 404,
      code: 'not-found',
    });
    const wrong = await api.ask({ method: 'DELETE', url: '/v1/conversations' });
    expect(problemIn(wrong)).toMatchObject({ status: 405, code: 'method-not-allowed' });
    expect(wrong.headers.allow).toBe('POST, GET');
    expect(problemIn(await api.ask({ method: 'GET', url: `/v1/conversations/${'x'.repeat(500)}` }))).toMatchObject({
      status: 404,
      code: 'not-found',
    });
    expect(problemIn(await api.ask({ method: 'GET', url: '/v1/conversations/%zz' }))).toMatchObject({
      status: 400,
      code: 'invalid-request',
    });
    expect(problemIn(await api.ask({ method: 'GET', url: '/v1/conversations/a b' }))).toMatchObject({
      status: 400,
      code: 'invalid-request',
    });
  });

  it('hides what was not foreseen, and logs it', async () => {
    world.records.get = () => {
      throw new Error('secret internals');
    };
    const answer = await api.ask({ method: 'GET', url: '/v1/conversations/x' });
    expect(problemIn(answer)).toMatchObject({ status: 500, code: 'internal' });
    expect(answer.body).not.toContain('secret internals');
    expect(world.logs.join('')).toContain('secret internals');
  });

  it('logs one line per request: route and caller, never the path or body', async () => {
    const answer = await api.ask({
      method: 'GET',
      url: '/v1/conversations/very-own-id',
      headers: { ...asA, 'x-request-id': 'abc-1' },
    });
    expect(answer.headers['x-request-id']).toBe('abc-1');
    const lines = world.logs.filter((line) => line.includes('"request"'));
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      {
        msg: 'request',
        requestId: 'abc-1',
        method: 'GET',
        route: '/v1/conversations/:conversationId',
        status: 404,
        key: 'a',
      },
    ]);
    expect(lines.join('')).not.toContain('very-own-id');
  });
});
