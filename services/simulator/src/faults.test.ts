import { describe, expect, it } from 'vitest';
import { FAULT_NAMES } from './faults.ts';
import { portOf } from './sim/port-of.ts';
import { testWorld } from './sim/test-world.ts';

const base = { replica_id: 'r1', persona_id: 'pipecat-stream' };

describe('the switchboard', () => {
  it('knows exactly the published list', () => {
    expect(FAULT_NAMES.join(' ')).toBe(
      'create-400-concurrency create-402 create-401 create-500 create-429 create-timeout-after-success create-slow end-fails replica-never-joins replica-leaves replica-freezes-video replica-mutes eject-bot room-deleted exp-room meeting-full network-interrupted minutes-run-out webhook-duplicate webhook-drop app-message-limit ghost-lingers',
    );
  });

  it.each([
    [{ fault: 'nope' }, 'fault'],
    [{}, 'fault'],
    [{ fault: 'create-402', count: 0 }, 'count'],
    [{ fault: 'create-402', extra: 1 }, 'extra'],
  ])('%o → 400 naming %s', async (body, field) => {
    const { status, body: answer } = await testWorld().call('POST', '/sim/faults', body);
    expect([status, answer]).toMatchObject([400, { field, known: FAULT_NAMES }]);
  });

  it('uses a fault up by its count, for those that match, and DELETE takes all off', async () => {
    const w = testWorld();
    const create = async (name: string) =>
      (await w.call('POST', '/v2/conversations', { ...base, conversation_name: name })).status;
    await w.fault({ fault: 'create-500', count: 2, match: 'blue' });
    expect(await create('red 1')).toBe(200);
    expect([await create('blue 1'), await create('blue 2'), await create('blue 3')]).toEqual([500, 500, 200]);
    await w.fault({ fault: 'create-500', count: 9 });
    expect((await w.call('GET', '/sim/faults')).body).toMatchObject({
      armed: [{ fault: 'create-500', remaining: 9, fired: 0 }],
    });
    expect((await w.call('DELETE', '/sim/faults')).status).toBe(204);
    expect(await create('red 2')).toBe(200);
  });
});

describe('faults of REST', () => {
  it.each([
    ['create-400-concurrency', 400, { message: 'User has reached maximum concurrent conversations' }],
    ['create-402', 402, { message: 'The user is out of conversational credits.' }],
    ['create-401', 401, { message: 'Invalid access token' }],
    ['create-500', 500, { message: 'Internal server error' }],
    ['create-429', 429, { message: 'Too many requests' }],
  ])('%s answers %i once and creates nothing', async (fault, status, body) => {
    const w = testWorld();
    await w.fault({ fault });
    const refused = await w.call('POST', '/v2/conversations', base);
    expect([refused.status, refused.body]).toEqual([status, body]);
    expect((await w.state()).billing.unended).toEqual([]);
    expect((await w.call('POST', '/v2/conversations', base)).status).toBe(200);
  });

  it('create-429 says when to come back', async () => {
    const w = testWorld();
    await w.fault({ fault: 'create-429', retryAfterSeconds: 7 });
    expect((await w.call('POST', '/v2/conversations', base)).headers['retry-after']).toBe('7');
  });

  it('create-slow answers late, bills from the start', async () => {
    const w = testWorld();
    await w.fault({ fault: 'create-slow', ms: 3_000 });
    const answer = w.call('POST', '/v2/conversations', base);
    await expect.poll(async () => (await w.state()).billing.unended.length).toBe(1);
    await w.clock.pass(3_000);
    expect((await answer).status).toBe(200);
    expect((await w.state()).billing.seconds).toBe(3);
  });

  it('create-timeout-after-success creates, bills and never answers', async () => {
    const w = testWorld();
    await w.app.listen({ host: '127.0.0.1', port: 0 });
    const url = `http://127.0.0.1:${portOf(w.app.server)}/v2/conversations`;
    const post = (signal: AbortSignal) =>
      fetch(url, {
        method: 'POST',
        headers: { 'x-api-key': 'k', 'content-type': 'application/json' },
        body: JSON.stringify(base),
        signal,
      });
    await w.fault({ fault: 'create-timeout-after-success', count: 2, ms: 60_000 });

    const impatient = new AbortController();
    const givenUp = post(impatient.signal);
    await expect.poll(async () => (await w.state()).billing.unended.length).toBe(1);
    impatient.abort(new Error('client gave up'));
    await expect(givenUp).rejects.toThrow('client gave up');

    const patient = post(AbortSignal.timeout(10_000));
    const broken = patient.then(() => 'answered', String);
    await expect.poll(async () => (await w.state()).billing.unended.length).toBe(2);
    await w.clock.pass(60_000); // bounded: the socket breaks
    expect(await broken).toContain('fetch failed');
    await w.simulator.close();
    await expect.poll(() => w.clock.pending).toBe(0);
    await w.app.close();
  });

  it('end-fails as often as asked, and the bill runs on', async () => {
    const w = testWorld();
    const id = await w.create({ conversation_name: 'x' });
    await w.fault({ fault: 'end-fails', count: 2, status: 503, match: id });
    const end = async () => (await w.call('POST', `/v2/conversations/${id}/end`)).status;
    expect([await end(), await end()]).toEqual([503, 503]);
    expect((await w.state()).billing.unended).toEqual([id]);
    expect(await end()).toBe(200);
    expect((await w.state()).billing.unended).toEqual([]);
  });

  it('minutes-run-out cuts the running call and answers 402 until taken off', async () => {
    const w = testWorld();
    const id = await w.create();
    expect(await w.fault({ fault: 'minutes-run-out' })).toMatchObject({ struck: [id] });
    expect(await w.endedBy(id)).toBe('max_call_duration reached');
    expect((await w.call('POST', '/v2/conversations', base)).status).toBe(402);
    expect((await w.call('POST', '/v2/conversations', base)).status).toBe(402);
    await w.call('DELETE', '/sim/faults');
    expect((await w.call('POST', '/v2/conversations', base)).status).toBe(200);
  });
});

describe('faults of rooms', () => {
  const cases = [
    { fault: 'replica-leaves', shows: (w: World) => w.replicas.did, expected: 'stop' },
    { fault: 'replica-freezes-video', shows: (w: World) => w.replicas.did, expected: 'freeze true' },
    { fault: 'replica-mutes', shows: (w: World) => w.replicas.did, expected: 'mute true' },
    { fault: 'eject-bot', shows: (w: World) => w.rooms.did, expected: expect.stringMatching(/^eject s/) },
    { fault: 'meeting-full', shows: (w: World) => w.rooms.did, expected: 'refuse meeting-full 2', count: 2 },
    { fault: 'network-interrupted', shows: (w: World) => w.rooms.did, expected: 'interrupt 1500', ms: 1_500 },
    {
      fault: 'room-deleted',
      shows: (w: World) => w.rooms.did,
      expected: 'close no-room',
      endedBy: 'daily_room_has_been_deleted',
    },
    {
      fault: 'exp-room',
      shows: (w: World) => w.rooms.did,
      expected: 'close exp-room',
      endedBy: 'daily_room_has_been_deleted',
    },
  ];
  type World = ReturnType<typeof testWorld>;

  const live = async (w: World, name: string): Promise<string> => {
    const id = await w.create({ conversation_name: name, properties: { participant_left_timeout: 30 } });
    await w.clock.pass(500);
    if (w.rooms.rooms().some((room) => room.name === id)) {
      w.rooms.join(id, 'User');
      w.rooms.join(id, 'Pipecat');
    }
    await w.clock.pass(0);
    return id;
  };
  const request = ({ fault, count, ms }: (typeof cases)[number]) => ({
    fault,
    ...(count === undefined ? {} : { count }),
    ...(ms === undefined ? {} : { ms }),
  });

  it.each(cases)('$fault strikes a running conversation at once, only the one meant, once', async (one) => {
    const w = testWorld();
    const other = await live(w, 'other');
    const id = await live(w, 'meant');
    expect(await w.fault({ ...request(one), match: 'meant' })).toEqual({ struck: [id], armed: [] });
    await w.clock.pass(0);
    expect(one.shows(w)).toContainEqual(one.expected);
    expect(await w.endedBy(id)).toBe(one.endedBy ?? null);
    expect(await w.endedBy(other)).toBeNull();
  });

  it.each(cases)('$fault waits for the next conversation when none runs', async (one) => {
    const w = testWorld();
    expect(await w.fault(request(one))).toMatchObject({ struck: [], armed: [{ fault: one.fault }] });
    const id = await live(w, 'next');
    await w.clock.pass(0);
    expect(one.shows(w)).toContainEqual(one.expected);
    expect(await w.endedBy(id)).toBe(one.endedBy ?? null);
    expect((await w.call('GET', '/sim/faults')).body).toMatchObject({ armed: [] });
  });

  it('afterMs puts it off', async () => {
    const w = testWorld();
    const id = await live(w, 'x');
    await w.fault({ fault: 'room-deleted', afterMs: 2_000 });
    await w.clock.pass(1_999);
    expect(await w.endedBy(id)).toBeNull();
    await w.clock.pass(1);
    expect(await w.endedBy(id)).toBe('daily_room_has_been_deleted');
  });

  it('replica-never-joins: no replica, no webhook, and the bill runs until a timeout', async () => {
    const w = testWorld();
    const id = await w.create();
    await w.fault({ fault: 'replica-never-joins' });
    await w.clock.pass(299_000);
    expect(w.replicas.started).toEqual([]);
    expect((await w.state()).billing).toEqual({ seconds: 299, unended: [id] });
    await w.clock.pass(1_000);
    expect(await w.endedBy(id)).toBe('participant_absent_timeout reached');
  });

  it('replica-leaves leaves the conversation, and the bill, running', async () => {
    const w = testWorld();
    const id = await live(w, 'x');
    await w.fault({ fault: 'replica-leaves' });
    await w.clock.pass(0);
    expect(w.replicas.running).toBe(0);
    expect((await w.state()).billing.unended).toEqual([id]);
  });

  it('eject-bot is not used up by a user', async () => {
    const w = testWorld();
    await w.fault({ fault: 'eject-bot' });
    const id = await w.create();
    w.rooms.join(id, 'User');
    expect(w.rooms.did.filter((what) => what.startsWith('eject'))).toEqual([]);
    const bot = w.rooms.join(id, 'Pipecat');
    expect(w.rooms.did).toContain(`eject ${bot}`);
  });

  it.each([
    [{ fault: 'app-message-limit', limit: 1_024 }, 'limit 1024', 'limit default'],
    [{ fault: 'ghost-lingers', ms: 9_000 }, 'linger 9000', 'linger 3000'],
  ])('%o until taken off', async (request, on, off) => {
    const w = testWorld();
    await w.fault(request);
    expect(w.rooms.did.at(-1)).toBe(on);
    await w.call('DELETE', '/sim/faults');
    expect(w.rooms.did).toContain(off);
  });

  it('all off heals frozen and muted replicas', async () => {
    const w = testWorld();
    await live(w, 'x');
    await w.fault({ fault: 'replica-freezes-video' });
    await w.call('DELETE', '/sim/faults');
    expect(w.replicas.did).toEqual(['freeze true', 'freeze false', 'mute false']);
  });
});
