import { callbackKey, callbackToken } from '@tavus-fleet/tavus';
import { beforeEach, describe, expect, it } from 'vitest';
import type { App } from '../app.ts';
import { Client, problemIn } from '../test-client.ts';
import { CALLBACK_KEY, World } from '../test-world.ts';

let world: World;
let app: App;
let id: string;

beforeEach(async () => {
  world = new World();
  app = await world.app();
  id = await new Client(app).start();
  return () => app.close();
});

const event = (event_type: string, properties: object = {}) => ({
  conversation_id: 't1',
  webhook_url: 'https://avatars.example.com/v1/tavus/callback/secret',
  event_type,
  message_type: 'application',
  timestamp: '2025-07-11T06:45:47.472000Z',
  properties,
});
/** Tavus comes without a key. */
const callback = (payload: unknown, token = callbackToken(CALLBACK_KEY, id), type = 'application/json') =>
  app.inject({
    method: 'POST',
    url: `/v1/tavus/callback/${token}`,
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    headers: { 'content-type': type },
  });

describe('POST callback', () => {
  it('takes what Tavus tells, once, and passes on nothing of the address', async () => {
    const transcript = event('application.transcription_ready', { transcript: [{ role: 'user', content: 'hi' }] });
    for (const body of [transcript, transcript, event('system.shutdown', { shutdown_reason: 'x reached' })])
      expect((await callback(body)).json()).toEqual({ received: true });
    expect(world.notices.map(({ notice }) => notice)).toMatchObject([
      { tavusConversationId: 't1', message: { event_type: 'application.transcription_ready' } },
      { tavusConversationId: 't1', shutdownReason: 'x reached' },
    ]);
    expect(JSON.stringify(world.notices)).not.toContain('callback/secret');
  });

  it('needs nothing of the replica’s arrival: the room tells', async () => {
    for (const name of ['system.replica_joined', 'system.pal_joined'])
      expect((await callback(event(name))).statusCode).toBe(200);
    expect(world.notices).toEqual([]);
  });

  it('is friendly about a conversation that has expired', async () => {
    world.records.clear();
    expect((await callback(event('system.shutdown'))).statusCode).toBe(200);
  });

  it.each([
    ['no token', () => 'x'],
    ['another conversation’s', () => callbackToken(CALLBACK_KEY, 'other').replace('other', id)],
    ['another fleet’s', () => callbackToken(callbackKey('tavus-key', 'other'), id)],
    ['a cut one', () => callbackToken(CALLBACK_KEY, id).slice(0, -1)],
    ['an endless one', () => 'x'.repeat(500)],
    ['a path', () => encodeURIComponent('../../v1/conversations')],
  ])('with %s is a path that is not there, whatever the body', async (_, token) => {
    for (const body of [event('system.shutdown'), '{', 'x'.repeat(2_000_000)])
      expect(problemIn(await callback(body, token()))).toMatchObject({ status: 404, code: 'not-found' });
    expect(world.notices).toEqual([]);
  });

  it.each([
    { body: '{', problem: { status: 400, code: 'invalid-json' } },
    { body: '', problem: { status: 400, code: 'invalid-request', fields: { body: expect.any(String) } } },
    { body: [], problem: { status: 400, fields: { body: 'must be an object' } } },
    { body: { event_type: 'x' }, problem: { status: 400, fields: { conversation_id: 'is required (string)' } } },
    { body: '{"__proto__":{"a":1}}', problem: { status: 400, code: 'invalid-json' } },
    { body: '['.repeat(5_000), problem: { status: 400, code: 'invalid-json' } },
    { body: `"${'x'.repeat(1_100_000)}"`, problem: { status: 413, code: 'body-too-large' } },
  ])('names what is wrong ($problem.status)', async ({ body, problem }) => {
    expect(problemIn(await callback(body))).toMatchObject(problem);
  });

  it('writes neither token nor content to the log', async () => {
    await callback(event('application.transcription_ready', { transcript: [{ role: 'user', content: 'my secret' }] }));
    await callback('{');
    await callback(event('system.shutdown'), `${id}.wrong`);
    const logged = world.logs.join('');
    expect(logged).toContain('tavus called back');
    for (const secret of [callbackToken(CALLBACK_KEY, id), 'my secret', `${id}.wrong`])
      expect(logged).not.toContain(secret);
  });

  it('says 503 while Redis is silent', async () => {
    world.down = 'all';
    expect(problemIn(await callback(event('system.shutdown')))).toMatchObject({ status: 503 });
  });
});
