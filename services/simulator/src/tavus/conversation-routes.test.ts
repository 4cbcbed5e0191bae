import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { testWorld } from '../sim/test-world.ts';

const base = { replica_id: 'r1', persona_id: 'pipecat-stream' };

describe('POST /v2/conversations', () => {
  it('answers like the documented sample, in both name families', async () => {
    const w = testWorld();
    const { status, body } = await w.call('POST', '/v2/conversations', base);
    expect(status).toBe(200);
    expect(body).toEqual({
      conversation_id: expect.stringMatching(/^c[0-9a-f]{15}$/),
      conversation_name: 'New Conversation',
      conversation_url: expect.stringMatching(/^https:\/\/tavus\.daily\.co\/c[0-9a-f]{15}$/),
      status: 'active',
      callback_url: '',
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      replica_id: 'r1',
      face_id: 'r1',
      persona_id: 'pipecat-stream',
      pal_id: 'pipecat-stream',
    });
  });

  it('takes the newer names', async () => {
    const w = testWorld();
    const { body } = await w.call('POST', '/v2/conversations', { face_id: 'r2', pal_id: 'pipecat0' });
    expect(body).toMatchObject({ replica_id: 'r2', persona_id: 'pipecat0' });
  });

  it.each([
    {
      when: 'no key',
      body: base,
      headers: { 'x-api-key': '' },
      status: 401,
      answer: { message: 'Invalid access token' },
    },
    {
      when: 'a refused key',
      body: base,
      headers: { 'x-api-key': 'bad' },
      status: 401,
      answer: { message: 'Invalid access token' },
    },
    {
      when: 'a persona in the replica slot',
      body: { replica_id: 'p123' },
      headers: {},
      status: 400,
      answer: { error: 'Invalid replica_uuid' },
    },
    {
      when: 'a persona in the face slot',
      body: { face_id: 'p123' },
      headers: {},
      status: 400,
      answer: { error: 'Invalid face_id' },
    },
    {
      when: 'an unknown persona',
      body: { ...base, persona_id: 'p404' },
      headers: {},
      status: 400,
      answer: { error: 'Invalid persona_id' },
    },
    {
      when: 'an unknown pal',
      body: { face_id: 'r1', pal_id: 'p404' },
      headers: {},
      status: 400,
      answer: { error: 'Invalid pal_id' },
    },
    {
      when: 'no replica anywhere',
      body: { persona_id: 'pipecat0' },
      headers: {},
      status: 400,
      answer: { error: 'Invalid replica_uuid' },
    },
  ])('$when → $status', async ({ body, headers, status, answer }) => {
    const w = testWorld({ refusedApiKeys: ['bad'] });
    const response = await w.call('POST', '/v2/conversations', body, headers);
    expect([response.status, response.body]).toEqual([status, answer]);
    expect((await w.state()).conversations).toEqual([]);
  });

  it.each([
    ['max_participants', { max_participants: 1 }],
    ['properties.max_call_duration', { properties: { max_call_duration: '60' } }],
    ['callback_url', { callback_url: 'not a url' }],
    ['conversation_name', { conversation_name: 'n'.repeat(256) }],
  ])('names the bad field %s', async (field, part) => {
    const w = testWorld();
    const { status, body } = await w.call('POST', '/v2/conversations', { ...base, ...part });
    expect(status).toBe(400);
    expect(body).toEqual({ error: expect.stringContaining(`${field}: `) });
  });

  it('needs neither replica nor persona: there is a default', async () => {
    const { status, body } = await testWorld().call('POST', '/v2/conversations', {});
    expect([status, body]).toMatchObject([200, { replica_id: expect.stringMatching(/^r/) }]);
  });

  it('opens the room for max_participants and starts the replica as its persona asks', async () => {
    const w = testWorld({ size: { width: 320, height: 180 }, fps: 10 });
    const id = await w.create({ max_participants: 3, audio_only: true });
    await w.clock.pass(500);
    expect(w.rooms.did).toContain('open 3');
    expect(w.replicas.started).toEqual([
      {
        conversationId: id,
        room: id,
        userId: `tavus-replica-${id}`,
        userName: 'Pipecat Stream',
        hearing: 'stream',
        width: 320,
        height: 180,
        fps: 10,
        delayMs: 100,
        streamPolicy: 'first',
        audioOnly: true,
      },
    ]);
  });

  it('test_mode is over at once, free, and holds no slot', async () => {
    const w = testWorld({ planConcurrency: 0 });
    const { body } = await w.call('POST', '/v2/conversations', { ...base, test_mode: true });
    expect(body).toMatchObject({ status: 'ended' });
    await w.clock.pass(10_000);
    expect(w.replicas.started).toEqual([]);
    expect((await w.state()).billing).toEqual({ seconds: 0, unended: [] });
  });

  it('require_auth gives a token that expires with participant_absent_timeout', async () => {
    const w = testWorld();
    const { body } = await w.call('POST', '/v2/conversations', {
      ...base,
      require_auth: true,
      properties: { participant_absent_timeout: 60 },
    });
    expect(body).toMatchObject({ meeting_token: expect.stringMatching(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/) });
    const payload = z.looseObject({ meeting_token: z.string() }).parse(body).meeting_token.split('.')[1] ?? '';
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      exp: Math.floor(w.clock.now() / 1_000) + 60,
    });
  });

  it('a full plan is a 400', async () => {
    const w = testWorld({ planConcurrency: 1 });
    const first = await w.create();
    const refused = await w.call('POST', '/v2/conversations', base);
    expect([refused.status, refused.body]).toEqual([
      400,
      { message: 'User has reached maximum concurrent conversations' },
    ]);
    await w.call('POST', `/v2/conversations/${first}/end`);
    expect((await w.call('POST', '/v2/conversations', base)).status).toBe(200);
  });

  it('answers after the latency although the conversation runs at once', async () => {
    const w = testWorld({ createLatencyMs: 200 });
    const answer = w.call('POST', '/v2/conversations', base);
    await w.app.ready();
    await w.clock.pass(0);
    await expect.poll(async () => (await w.state()).billing.unended.length).toBe(1);
    await w.clock.pass(200);
    expect((await answer).status).toBe(200);
  });
});

describe('reading conversations', () => {
  it('pages, newest first, and filters by status', async () => {
    const w = testWorld();
    const ids: string[] = [];
    for (let n = 0; n < 12; n += 1) ids.push(await w.create());
    await w.call('POST', `/v2/conversations/${ids[0]}/end`);
    const rows = async (query: string) => {
      const { body } = await w.call('GET', `/v2/conversations${query}`);
      const list = z
        .object({ data: z.array(z.looseObject({ conversation_id: z.string() })), total_count: z.number() })
        .parse(body);
      return { ids: list.data.map((row) => row.conversation_id), total: list.total_count };
    };
    expect(await rows('')).toEqual({ ids: ids.toReversed().slice(0, 10), total: 12 });
    expect(await rows('?page=2')).toEqual({ ids: [ids[1], ids[0]], total: 12 });
    expect(await rows('?limit=1&page=3')).toEqual({ ids: [ids[9]], total: 12 });
    expect(await rows('?status=ended')).toEqual({ ids: [ids[0]], total: 1 });
    expect((await w.call('GET', '/v2/conversations?status=open')).status).toBe(400);
  });

  it('GET shows the documented row; verbose adds the reason and the events', async () => {
    const w = testWorld();
    const id = await w.create();
    await w.clock.pass(500);
    const plain = await w.call('GET', `/v2/conversations/${id}`);
    expect(plain.body).toMatchObject({
      conversation_id: id,
      status: 'active',
      updated_at: expect.any(String),
      persona_id: 'pipecat-stream',
    });
    expect(plain.body).not.toHaveProperty('events');
    await w.call('POST', `/v2/conversations/${id}/end`);
    await w.clock.pass(0);
    const verbose = await w.call('GET', `/v2/conversations/${id}?verbose=true`);
    expect(verbose.body).toMatchObject({
      status: 'ended',
      shutdown_reason: 'end_conversation_endpoint_hit',
      events: ['system.replica_joined', 'system.pal_joined', 'system.shutdown', 'application.transcription_ready'].map(
        (event_type) => ({ event_type, conversation_id: id }),
      ),
    });
  });

  it.each([
    ['GET', '/v2/conversations/c404'],
    ['POST', '/v2/conversations/c404/end'],
    ['DELETE', '/v2/conversations/c404'],
  ] as const)('%s %s is 400, not 404', async (method, url) => {
    const { status, body } = await testWorld().call(method, url);
    expect([status, body]).toEqual([400, { error: 'Invalid conversation_id' }]);
  });

  it('an unknown route is 404, and 401 without a key', async () => {
    const w = testWorld();
    expect(await w.call('GET', '/v2/nothing')).toMatchObject({ status: 404, body: { message: 'Not found' } });
    expect((await w.call('GET', '/v2/nothing', undefined, { 'x-api-key': '' })).status).toBe(401);
  });
});

describe('ending', () => {
  it('POST …/end answers 200 with nothing, closes the room and stops the replica', async () => {
    const w = testWorld();
    const id = await w.create();
    await w.clock.pass(500);
    const { status, text } = await w.call('POST', `/v2/conversations/${id}/end`);
    expect([status, text]).toEqual([200, '']);
    await w.clock.pass(0);
    expect(w.rooms.rooms()).toEqual([]);
    expect(w.replicas.running).toBe(0);
    expect(w.clock.pending).toBe(0);
  });

  it('takes an empty body that says it is JSON', async () => {
    const w = testWorld();
    const id = await w.create();
    expect(
      (await w.call('POST', `/v2/conversations/${id}/end`, undefined, { 'content-type': 'application/json' })).status,
    ).toBe(200);
  });

  it.each([
    { endTwiceStatus: 200, answer: undefined },
    { endTwiceStatus: 400, answer: { error: 'Invalid conversation_id' } },
    { endTwiceStatus: 404, answer: { message: 'Not found' } },
  ] as const)('twice answers $endTwiceStatus as set', async ({ endTwiceStatus, answer }) => {
    const w = testWorld({ endTwiceStatus });
    const id = await w.create();
    await w.call('POST', `/v2/conversations/${id}/end`);
    const second = await w.call('POST', `/v2/conversations/${id}/end`);
    expect([second.status, second.body]).toEqual([endTwiceStatus, answer]);
  });

  it('DELETE ends it, answers 204 and takes it out of REST, not out of the bill', async () => {
    const w = testWorld();
    const id = await w.create();
    await w.clock.pass(2_000);
    const { status, text } = await w.call('DELETE', `/v2/conversations/${id}`);
    expect([status, text]).toEqual([204, '']);
    expect((await w.call('GET', `/v2/conversations/${id}`)).status).toBe(400);
    expect((await w.call('GET', '/v2/conversations')).body).toEqual({ data: [], total_count: 0 });
    expect(await w.endedBy(id)).toBe('conversation_deleted');
    expect((await w.state()).billing).toEqual({ seconds: 2, unended: [] });
  });
});

it('writes down every call that names the conversation, with its epoch', async () => {
  const w = testWorld();
  const id = await w.create({}, { 'x-fleet-epoch': '3' });
  await w.call('GET', `/v2/conversations/${id}`, undefined, { 'x-fleet-epoch': '4' });
  await w.call('POST', `/v2/conversations/${id}/end`);
  await w.call('DELETE', `/v2/conversations/${id}`, undefined, { 'x-fleet-epoch': 'x' });
  const at = new Date(w.clock.now()).toISOString();
  expect((await w.state()).conversations[0]?.calls).toEqual([
    { route: 'POST /v2/conversations', at, epoch: 3 },
    { route: 'GET /v2/conversations/{id}', at, epoch: 4 },
    { route: 'POST /v2/conversations/{id}/end', at, epoch: null },
    { route: 'DELETE /v2/conversations/{id}', at, epoch: 'x' },
  ]);
});
