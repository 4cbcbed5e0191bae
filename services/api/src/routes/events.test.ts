import { beforeEach, describe, expect, it } from 'vitest';
import type { App } from '../app.ts';
import { World, asA, asB, body } from '../test-world.ts';

let world: World;
let app: App;
let id: string;

beforeEach(async () => {
  world = new World();
  app = await world.app();
  id = (await app.inject({ method: 'POST', url: '/v1/conversations', headers: asA, payload: body })).json<{
    conversationId: string;
  }>().conversationId;
  return () => app.close();
});

const watch = (headers: Record<string, string> = {}) =>
  app.inject({ url: `/v1/conversations/${id}/events`, headers: { ...asA, ...headers } });
const idsIn = (text: string): string[] => [...text.matchAll(/^id: (.*)$/gm)].map((match) => match[1] ?? '');

describe('GET events', () => {
  it('is an event stream that ends with the conversation', async () => {
    world.tell(id, { type: 'state', data: { state: 'queued' } });
    world.tell(id, { type: 'ended', data: { endReason: 'stopped' } });
    const answer = await watch();
    expect([answer.statusCode, answer.headers['content-type'], answer.headers['cache-control']]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
      'no-store, no-transform',
    ]);
    expect(idsIn(answer.body)).toEqual(['1-0', '2-0']);
  });

  it('resumes after Last-Event-ID', async () => {
    for (const state of ['queued', 'starting', 'live'] as const) world.tell(id, { type: 'state', data: { state } });
    world.tell(id, { type: 'ended', data: { endReason: 'stopped' } });
    expect(idsIn((await watch({ 'last-event-id': '2-0' })).body)).toEqual(['3-0', '4-0']);
  });

  it('tells a client that has everything to stay away', async () => {
    const last = world.tell(id, { type: 'ended', data: { endReason: 'stopped' } });
    world.end(id, 'stopped');
    expect((await watch({ 'last-event-id': last })).statusCode).toBe(204);
  });

  it.each(['$', '-1', '1-2-3', 'x', '1-0\t2', '9'.repeat(30)])('refuses Last-Event-ID %j', async (lastEventId) => {
    const answer = await watch({ 'last-event-id': lastEventId });
    expect([answer.statusCode, answer.json()]).toMatchObject([400, { errors: [{ field: 'last-event-id' }] }]);
  });

  it('is for its own key only', async () => {
    expect((await watch(asB)).statusCode).toBe(404);
    expect((await app.inject({ url: '/v1/conversations/unknown/events', headers: asA })).statusCode).toBe(404);
  });

  it('answers 503 when Redis is away, before the stream begins', async () => {
    world.down = 'all';
    const answer = await watch();
    expect([answer.statusCode, answer.json()]).toMatchObject([503, { code: 'redis-unavailable' }]);
  });

  it('lets go of a client that leaves', async () => {
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const leaving = new AbortController();
    const answer = await fetch(`${url}/v1/conversations/${id}/events`, { headers: asA, signal: leaving.signal });
    expect(answer.status).toBe(200);
    await expect.poll(() => world.watchers.size).toBe(1);
    leaving.abort();
    await expect.poll(() => world.watchers.size).toBe(0);
  });

  it('does not hold up closing once the process drains', async () => {
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const answer = await fetch(`${url}/v1/conversations/${id}/events`, { headers: asA });
    await expect.poll(() => world.watchers.size).toBe(1);
    world.draining.abort();
    expect(await answer.text()).toContain(': draining, come back');
    await app.close();
    expect(world.watchers.size).toBe(0);
  });
});
