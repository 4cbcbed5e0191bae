import { beforeEach, describe, expect, it } from 'vitest';
import { Client, problemIn } from '../test-client.ts';
import { World, asA, asB, body } from '../test-world.ts';

let world: World;
let api: Client;

beforeEach(async () => {
  world = new World();
  const app = await world.app();
  api = new Client(app);
  return () => app.close();
});

describe('start', () => {
  it('writes record and job, answers 202 with the view, shows and logs no secret', async () => {
    const answer = await api.post('/v1/conversations', { ...body, metadata: { order: 7 } });
    expect(answer.statusCode).toBe(202);
    expect(answer.json()).toMatchObject({
      state: 'queued',
      epoch: 0,
      replicaId: 'r1',
      personaId: 'pipecat-stream',
      metadata: { order: 7 },
      createdAt: expect.stringMatching(/Z$/),
    });
    const { conversationId } = answer.json<{ conversationId: string }>();
    expect(answer.headers.location).toBe(`/v1/conversations/${conversationId}`);
    expect(world.started).toEqual([conversationId]);
    expect(world.records.get(conversationId)?.createdBy).toBe('a');
    expect(answer.body + world.logs.join('')).not.toMatch(/room-secret|token-secret/);
  });

  it('takes the caller’s id once, ever', async () => {
    expect(await api.start({ ...body, conversationId: 'mine' })).toBe('mine');
    expect(problemIn(await api.post('/v1/conversations', { ...body, conversationId: 'mine' }))).toMatchObject({
      status: 409,
      code: 'conversation-id-used',
    });
    expect(problemIn(await api.post('/v1/conversations', { ...body, conversationId: 'mine' }, asB))).toMatchObject({
      status: 409,
      code: 'conversation-id-used',
    });
    expect(world.started).toEqual(['mine']);
  });

  it.each([
    { when: 'a field is missing', send: {}, fields: { replicaId: 'is required (string)' } },
    {
      when: 'a key is misspelt, at any depth',
      send: { ...body, replica: 1, limits: { maxDuration: 5 } },
      fields: { replica: 'is not known here; remove it', 'limits.maxDuration': 'is not known here; remove it' },
    },
    {
      when: 'several are wrong',
      send: { replicaId: 5, limits: { maxDurationSeconds: 9999 }, audio: { mode: 'loud' } },
      fields: {
        replicaId: 'must be a string',
        'limits.maxDurationSeconds': 'must be at most 3600',
        'audio.mode': 'must be one of stream, echo, auto',
      },
    },
    {
      when: 'an id has other characters',
      send: { ...body, conversationId: 'a b' },
      fields: { conversationId: 'must be 1 to 64 characters of A-Z a-z 0-9 _ -' },
    },
    {
      when: 'jpeg is too fast',
      send: { ...body, output: { streams: { video: { format: 'jpeg', maxFps: 30 } } } },
      fields: { 'output.streams.video': 'maxFps must be at most 5 for jpeg' },
    },
    {
      when: 'a video format is unknown',
      send: { ...body, output: { streams: { video: { format: 'gif' } } } },
      fields: { 'output.streams.video.format': 'must be one of jpeg, encoded' },
    },
    {
      when: 'the room is elsewhere',
      send: { ...body, output: { room: { url: 'https://evil.example/x' } } },
      fields: { 'output.room.url': 'its host is not in USER_ROOM_HOSTS' },
    },
    {
      when: 'the room is elsewhere and other fields are wrong too',
      send: { ...body, replicaId: '', output: { room: { url: 'https://evil.example/x', tokn: 'x' } } },
      fields: {
        replicaId: 'must be at least 1 characters long',
        'output.room.tokn': 'is not known here; remove it',
        'output.room.url': 'its host is not in USER_ROOM_HOSTS',
      },
    },
    {
      when: 'the room is not https',
      send: { ...body, output: { room: { url: 'http://acme.daily.co/x' } } },
      fields: { 'output.room.url': 'must be https' },
    },
  ])('enqueues nothing when $when', async ({ send, fields }) => {
    expect(problemIn(await api.post('/v1/conversations', send))).toEqual({
      status: 400,
      code: 'invalid-request',
      fields,
    });
    expect([world.records.size, world.started, world.claims.size]).toEqual([0, [], 0]);
  });

  it.each([
    { when: 'the body is no JSON', payload: '{"replicaId":', code: 'invalid-json', status: 400 },
    { when: 'the body is empty', payload: '', code: 'invalid-request', status: 400 },
    { when: 'the body is too deep', payload: '['.repeat(100_000), code: 'invalid-json', status: 400 },
    { when: 'the body touches prototypes', payload: '{"__proto__":{"x":1}}', code: 'invalid-json', status: 400 },
    {
      when: 'the body is too large',
      payload: JSON.stringify({ replicaId: 'x'.repeat(300_000) }),
      code: 'body-too-large',
      status: 413,
    },
    {
      when: 'the content type is another',
      payload: 'replicaId=1',
      type: 'application/x-www-form-urlencoded',
      code: 'unsupported-media-type',
      status: 415,
    },
    { when: 'the body is null', payload: 'null', code: 'invalid-request', status: 400 },
  ])('answers a problem when $when', async ({ payload, type = 'application/json', code, status }) => {
    expect(
      problemIn(
        await api.ask({ method: 'POST', url: '/v1/conversations', payload, headers: { ...asA, 'content-type': type } }),
      ),
    ).toMatchObject({ code, status });
  });
});

describe('Idempotency-Key', () => {
  const headers = { ...asA, 'idempotency-key': 'once' };

  it('gives the same conversation again, whatever the order of keys, and wakes it up again while it waits', async () => {
    const first = await api.start({ replicaId: 'r1', metadata: { a: 1, b: 2 } }, headers);
    expect(await api.start({ metadata: { b: 2, a: 1 }, replicaId: 'r1' }, headers)).toBe(first);
    expect([...world.records.keys()]).toEqual([first]);
    expect(world.started).toEqual([first, first]);
    world.end(first, 'stopped');
    expect(await api.start({ replicaId: 'r1', metadata: { a: 1, b: 2 } }, headers)).toBe(first);
    expect(world.started).toHaveLength(2);
  });

  it('refuses another body, and belongs to the API key', async () => {
    const first = await api.start(body, headers);
    expect(problemIn(await api.post('/v1/conversations', { ...body, replicaId: 'r2' }, headers))).toMatchObject({
      status: 409,
      code: 'idempotency-key-reused',
    });
    expect(await api.start(body, { ...asB, 'idempotency-key': 'once' })).not.toBe(first);
  });

  it('is given back when the id was used, so that it can be sent with another', async () => {
    await api.start({ ...body, conversationId: 'mine' });
    expect((await api.post('/v1/conversations', { ...body, conversationId: 'mine' }, headers)).statusCode).toBe(409);
    expect(world.claims.size).toBe(0);
  });

  it('must be visible ASCII', async () => {
    expect(problemIn(await api.post('/v1/conversations', body, { ...asA, 'idempotency-key': 'a b' }))).toMatchObject({
      fields: { 'idempotency-key': 'must be 1 to 255 visible ASCII characters' },
    });
  });
});

describe('when Redis goes', () => {
  it('before the record: 503 with a code and a hint when to retry', async () => {
    world.down = 'all';
    const answer = await api.post('/v1/conversations', body);
    expect(problemIn(answer)).toMatchObject({ status: 503, code: 'redis-unavailable' });
    expect(answer.headers['retry-after']).toBe('1');
    expect((await api.ask({ method: 'GET', url: '/healthz' })).statusCode).toBe(200);
    expect(problemIn(await api.ask({ method: 'GET', url: '/readyz' }))).toMatchObject({
      status: 503,
      code: 'redis-unavailable',
    });
    world.down = 'no';
    expect((await api.ask({ method: 'GET', url: '/readyz' })).statusCode).toBe(200);
    await api.start();
  });

  it('between record and job: 503, the conversation is settled and the Idempotency-Key free', async () => {
    world.down = 'jobs';
    const headers = { ...asA, 'idempotency-key': 'k' };
    expect(problemIn(await api.post('/v1/conversations', body, headers))).toMatchObject({
      status: 503,
      code: 'redis-unavailable',
    });
    expect([...world.records.values()]).toMatchObject([{ state: 'failed', endReason: 'start-failed' }]);
    world.down = 'no';
    const second = await api.start(body, headers);
    expect(world.records.get(second)?.state).toBe('queued');
  });

  it('between record and job for good: a retry with the Idempotency-Key wakes the same one up', async () => {
    world.down = 'jobs-then-all';
    const headers = { ...asA, 'idempotency-key': 'k' };
    expect((await api.post('/v1/conversations', body, headers)).statusCode).toBe(503);
    expect(world.logs.join('')).toContain('conversation neither announced nor withdrawn');
    world.down = 'no';
    const id = await api.start(body, headers);
    expect([world.records.size, world.started]).toEqual([1, [id]]);
  });
});

describe('read', () => {
  it('shows a conversation to its own key only', async () => {
    const id = await api.start();
    expect((await api.ask({ method: 'GET', url: `/v1/conversations/${id}` })).json()).toMatchObject({
      conversationId: id,
      counters: { framesIn: 0 },
    });
    expect(problemIn(await api.ask({ method: 'GET', url: `/v1/conversations/${id}`, headers: asB }))).toMatchObject({
      status: 404,
      code: 'not-found',
    });
    expect(problemIn(await api.ask({ method: 'GET', url: '/v1/conversations/unknown' }))).toMatchObject({
      status: 404,
      code: 'not-found',
    });
  });

  it('lists own ones, newest first, by state and page', async () => {
    const [first, second, third] = [await api.start(), await api.start(), await api.start()];
    await api.start(body, asB);
    world.end(second, 'idle');
    const list = async (query: string): Promise<{ ids: string[]; cursor: string | undefined }> => {
      const answer = (await api.ask({ method: 'GET', url: `/v1/conversations${query}` })).json<{
        conversations: { conversationId: string }[];
        cursor?: string;
      }>();
      return { ids: answer.conversations.map((each) => each.conversationId), cursor: answer.cursor };
    };
    expect(await list('')).toEqual({ ids: [third, second, first], cursor: undefined });
    expect(await list('?state=ended')).toEqual({ ids: [second], cursor: undefined });
    const page = await list('?limit=2');
    expect(page.ids).toEqual([third, second]);
    expect(await list(`?limit=2&cursor=${page.cursor}`)).toEqual({ ids: [first], cursor: undefined });
  });

  it.each([
    ['?limit=0', 'limit'],
    ['?limit=101', 'limit'],
    ['?state=dead', 'state'],
    ['?cursor=%00', 'cursor'],
    ['?page=2', 'page'],
  ])('refuses %s', async (query, field) => {
    expect(Object.keys(problemIn(await api.ask({ method: 'GET', url: `/v1/conversations${query}` })).fields)).toEqual([
      field,
    ]);
  });
});
