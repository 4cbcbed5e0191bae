import {
  finalState,
  isFinal,
  mayMove,
  ConversationState,
  EndReason,
  StartRequest,
  type Ownership,
} from '@tavus-fleet/contracts';
import { redisFixture } from '@tavus-fleet/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { EventLog } from './events.ts';
import { createKeys } from './keys.ts';
import { Leases } from './leases.ts';
import { Records } from './records.ts';

// A conversation that is not over has no TTL: its end gives it one, which the tests below check.
const fixture = redisFixture({ allow: /:(record|secrets|frames|events)$/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const records = new Records(redis, keys);
const leases = new Leases({ commands: redis, lease: redis, keys });
const events = new EventLog(redis, keys);
const request = StartRequest.parse({
  replicaId: 'r1',
  settings: { model: 'm' },
  output: { room: { url: 'https://a.daily.co/x', token: 'tok' } },
});

let id = '';
let count = 0;
beforeEach(() => (id = `c${++count}`));

const make = (conversationId = id, createdBy = 'key1') => records.create({ request, createdBy, conversationId });
async function owned(conversationId = id): Promise<Ownership> {
  const acquired = await leases.acquire(conversationId, 'w1');
  if (!('ownership' in acquired)) throw new Error(acquired.refused);
  return acquired.ownership;
}
const types = async (): Promise<string[]> =>
  (await events.read(id, '0', 100)).events.map((event) => (event.type === 'state' ? event.data.state : event.type));
const frames = async (): Promise<string[][]> =>
  (await redis.xrange(keys.conversation(id).frames, '-', '+')).map(([, fields]) => fields);

describe('create', () => {
  it('writes record, secrets apart, and the first event', async () => {
    const { outcome, record } = await make();
    expect(outcome).toBe('created');
    expect(record).toMatchObject({
      conversationId: id,
      state: 'queued',
      epoch: 0,
      createdBy: 'key1',
      settings: { model: 'm' },
    });
    expect(Math.abs(record.createdAt - Date.now())).toBeLessThan(60_000);
    expect(JSON.stringify(record)).not.toContain('tok');
    expect(await records.secrets(id)).toEqual({ userRoomUrl: 'https://a.daily.co/x', userRoomToken: 'tok' });
    expect(await types()).toEqual(['queued']);
  });

  it('of a hundred at once makes one', async () => {
    const made = await Promise.all(Array.from({ length: 100 }, () => make()));
    expect(made.filter((one) => one.outcome === 'created')).toHaveLength(1);
    expect(await types()).toEqual(['queued']);
  });

  it('never takes an id again, also after its end', async () => {
    await make();
    await records.desire(id, 'stop');
    expect(await make(id, 'key2')).toMatchObject({ outcome: 'exists', record: { createdBy: 'key1', state: 'ended' } });
  });
});

describe('move', () => {
  it('goes through the states with an event and a time each, and cleans up at the end', async () => {
    await make();
    const owner = await owned();
    expect(await records.move(owner, 'starting')).toBe('moved');
    expect(await records.saveSecrets(owner, { conversationUrl: 'https://tavus.daily.co/abc' })).toBe('saved');
    expect(await records.move(owner, 'live', { fields: { tavusConversationId: 'tv', metrics: { startMs: 5 } } })).toBe(
      'moved',
    );
    expect(await records.move(owner, 'stopping')).toBe('moved');
    expect(await records.end(owner, 'stopped', { tavusConversationId: null })).toBe('moved');
    const record = await records.get(id);
    expect(record).toMatchObject({ state: 'ended', endReason: 'stopped', metrics: { startMs: 5 }, owner: 'w1' });
    expect(record?.tavusConversationId).toBeUndefined();
    expect(
      [record?.createdAt, record?.startedAt, record?.liveAt, record?.endedAt].every((time) => typeof time === 'number'),
    ).toBe(true);
    expect(await types()).toEqual(['queued', 'starting', 'live', 'stopping', 'ended', 'ended']);
    expect(await redis.exists(keys.conversation(id).secrets)).toBe(0);
    expect(await redis.ttl(keys.conversation(id).record)).toBeGreaterThan(6 * 86_400);
    expect(await redis.ttl(keys.conversation(id).events)).toBeGreaterThan(3500);
    expect(await records.saveSecrets(owner, { conversationUrl: 'x' })).toBe('final');
    expect(await records.refreshUserRoomToken(id, 'x')).toBe('final');
  });

  it('obeys the one table of moves, for each pair of states', async () => {
    for (const from of ConversationState.options) {
      for (const to of ConversationState.options.filter((state) => state !== from)) {
        const pair = `${id}-${from}-${to}`;
        await make(pair);
        const owner = await owned(pair);
        await redis.hset(keys.conversation(pair).record, 'state', from);
        const reason = EndReason.options.find((each) => finalState(each) === to);
        const outcome = await records.move(owner, to, isFinal(to) && reason ? { endReason: reason } : {});
        expect([from, to, outcome]).toEqual([from, to, mayMove(from, to) ? 'moved' : 'refused']);
      }
    }
  });

  it('is done once when a retry repeats it', async () => {
    await make();
    const owner = await owned();
    await records.move(owner, 'starting');
    expect(await records.move(owner, 'starting')).toBe('moved');
    await records.end(owner, 'idle');
    expect(await records.end(owner, 'idle')).toBe('moved');
    expect(await records.end(owner, 'stopped')).toBe('refused');
    expect(await types()).toEqual(['queued', 'starting', 'ended', 'ended']);
  });

  it.each([
    { who: 'a wrong nonce', forge: (o: Ownership): Ownership => ({ ...o, nonce: 'x'.repeat(32) }) },
    { who: 'an older epoch', forge: (o: Ownership): Ownership => ({ ...o, epoch: o.epoch - 1 }) },
    { who: 'a later epoch', forge: (o: Ownership): Ownership => ({ ...o, epoch: o.epoch + 1 }) },
  ])('$who writes nothing at all', async ({ forge }) => {
    await make();
    const stale = forge(await owned());
    const before = await redis.hgetall(keys.conversation(id).record);
    expect(await records.move(stale, 'starting')).toBe('fenced');
    expect(await records.end(stale, 'stopped')).toBe('fenced');
    expect(await records.patch(stale, { position: '9-9', inferenceId: 'i' })).toBe('fenced');
    expect(await records.saveSecrets(stale, { conversationUrl: 'x' })).toMatch(/fenced|absent/);
    expect(await events.append(stale, { type: 'joined', data: { room: 'tavus', participantId: 'p' } })).toBeUndefined();
    expect(await redis.hgetall(keys.conversation(id).record)).toEqual(before);
    expect(await types()).toEqual(['queued']);
  });

  it('of a record that is not there says that Redis is no help now: its owner may be about to write it again', async () => {
    await make();
    const stale = { ...(await owned()), conversationId: 'nobody' };
    const lost = { code: 'redis-unavailable' };
    await expect(records.move(stale, 'starting')).rejects.toMatchObject(lost);
    await expect(records.end(stale, 'stopped')).rejects.toMatchObject(lost);
    await expect(records.patch(stale, { position: '9-9', inferenceId: 'i' })).rejects.toMatchObject(lost);
    await expect(
      events.append(stale, { type: 'joined', data: { room: 'tavus', participantId: 'p' } }),
    ).rejects.toMatchObject(lost);
    expect(await records.saveSecrets(stale, { conversationUrl: 'x' })).toBe('absent');
    expect(await redis.exists(keys.conversation('nobody').record)).toBe(0);
  });

  it('refuses a reason that does not go with the state', async () => {
    await make();
    const owner = await owned();
    await expect(records.move(owner, 'ended')).rejects.toMatchObject({ code: 'internal' });
    await expect(records.move(owner, 'ended', { endReason: 'canceled' })).rejects.toMatchObject({ code: 'internal' });
    await expect(records.move(owner, 'live', { endReason: 'stopped' })).rejects.toMatchObject({ code: 'internal' });
  });
});

describe('patch', () => {
  it('saves fields; a position trims what was played and renews the TTL', async () => {
    await make();
    const owner = await owned();
    const stream = keys.conversation(id).frames;
    for (let n = 1; n <= 400; n += 1) await redis.xadd(stream, `${n}-0`, 'type', 'tts-stopped');
    const counters = {
      framesIn: 400,
      framesMalformed: 0,
      framesDropped: 1,
      utterances: 2,
      interruptions: 0,
      playedMs: 12.5,
    };
    expect(await records.patch(owner, { position: '350-0', counters, inferenceId: 'inf' })).toBe('patched');
    expect(await records.get(id)).toMatchObject({ position: '350-0', counters, inferenceId: 'inf' });
    const left = await redis.xrange(stream, '-', '+');
    expect(left.length).toBeLessThan(400);
    expect(left.filter(([entry]) => Number.parseInt(entry, 10) >= 350)).toHaveLength(51);
    expect(await redis.ttl(stream)).toBeGreaterThan(3500);
  });
});

describe('desire', () => {
  it.each([
    { verb: 'stop', state: 'ended', endReason: 'stopped' },
    { verb: 'cancel', state: 'canceled', endReason: 'canceled' },
  ] as const)('$verb ends at once what nobody ever owned', async ({ verb, state, endReason }) => {
    await make();
    expect(await records.desire(id, verb)).toBe('final');
    expect(await records.get(id)).toMatchObject({ state, endReason, desired: verb, epoch: 0 });
    expect(await types()).toEqual(['queued', state, 'ended']);
    expect(await records.desire(id, verb)).toBe('already');
    expect(await records.desire(id, verb === 'stop' ? 'cancel' : 'stop')).toBe('over');
    expect(await leases.acquire(id, 'w1')).toEqual({ refused: 'final' });
    expect(await frames()).toEqual([]);
  });

  it('cancel beats stop, and asking again is asking once', async () => {
    await make();
    const owner = await owned();
    expect(await records.desire(id, 'stop', 'bye')).toBe('accepted');
    expect(await records.desire(id, 'stop')).toBe('already');
    expect(await records.desire(id, 'cancel')).toBe('accepted');
    expect(await records.desire(id, 'stop')).toBe('already');
    expect(await records.desire(id, 'cancel')).toBe('already');
    expect((await records.get(id))?.desired).toBe('cancel');
    expect(await frames()).toEqual([
      ['type', 'end', 'reason', 'bye'],
      ['type', 'cancel'],
    ]);
    await records.end(owner, 'canceled');
    expect([await records.desire(id, 'stop'), await records.desire(id, 'cancel')]).toEqual(['already', 'already']);
  });

  it('a stop that comes only after cancel changes nothing', async () => {
    await make();
    await owned();
    expect(await records.desire(id, 'cancel')).toBe('accepted');
    expect(await records.desire(id, 'stop')).toBe('already');
    expect(await frames()).toEqual([['type', 'cancel']]);
  });

  it('answers over for what ended by itself, absent for what never was', async () => {
    await make();
    await records.end(await owned(), 'idle');
    expect(await records.desire(id, 'stop')).toBe('over');
    expect(await records.desire('never', 'stop')).toBe('absent');
    expect(await redis.exists(keys.conversation('never').record)).toBe(0);
  });

  it('racing with acquire: ended and never owned, or owned and told; never both', async () => {
    const rivalRedis = fixture.connect();
    const rival = new Leases({ commands: rivalRedis, lease: rivalRedis, keys });
    const outcomes = new Set<string>();
    for (let round = 0; round < 60; round += 1) {
      const raced = `${id}-${round}`;
      await make(raced);
      const takesFirst = round % 2 === 0;
      const early = takesFirst ? rival.acquire(raced, 'w2') : undefined;
      const desiring = records.desire(raced, 'cancel');
      const [acquired, desired] = await Promise.all([early ?? rival.acquire(raced, 'w2'), desiring]);
      const isOwned = 'ownership' in acquired;
      expect([isOwned, desired]).toEqual(isOwned ? [true, 'accepted'] : [false, 'final']);
      outcomes.add(desired);
    }
    expect([...outcomes].toSorted()).toEqual(['accepted', 'final']);
  });
});

describe('failUnowned', () => {
  it('ends what is queued and held by nobody', async () => {
    await make();
    expect(await records.failUnowned(id, 'start-timeout')).toBe('ended');
    expect(await records.get(id)).toMatchObject({ state: 'failed', endReason: 'start-timeout' });
    expect(await records.failUnowned(id, 'start-timeout')).toBe('refused');
    expect(await records.failUnowned('never', 'start-timeout')).toBe('absent');
  });

  it('leaves alone what has an owner', async () => {
    await make();
    const owner = await owned();
    expect(await records.failUnowned(id, 'start-timeout')).toBe('refused');
    await records.move(owner, 'starting');
    await redis.del(keys.conversation(id).lease);
    expect(await records.failUnowned(id, 'start-timeout')).toBe('refused');
  });

  it('an owner whose lease ran out before its first move does not come back', async () => {
    await make();
    const owner = await owned();
    await redis.del(keys.conversation(id).lease);
    expect(await records.failUnowned(id, 'start-timeout')).toBe('ended');
    expect(await leases.retake(owner)).toEqual({ status: 'lost' });
    expect(await records.move(owner, 'starting')).toBe('fenced');
  });
});

describe('updateSettings', () => {
  it('merges, answers the old values and tells the owner', async () => {
    await make();
    expect(await records.updateSettings(id, { model: 'n', extra: { maxVideoFps: 10 } })).toEqual({
      outcome: 'changed',
      changed: { model: 'm', 'extra.maxVideoFps': null },
    });
    expect((await records.get(id))?.settings).toEqual({ model: 'n', extra: { maxVideoFps: 10 } });
    expect(await frames()).toEqual([['type', 'settings-update', 'json', '{"model":"n","extra":{"maxVideoFps":10}}']]);
  });

  it('loses no update of several at once, and keeps long numbers', async () => {
    await make();
    const keysSet = ['a', 'b', 'c', 'd', 'e'];
    await Promise.all(keysSet.map((key) => records.updateSettings(id, { extra: { [key]: 0.1234567890123456 } })));
    expect((await records.get(id))?.settings.extra).toEqual(
      Object.fromEntries(keysSet.map((key) => [key, 0.1234567890123456])),
    );
    expect(await frames()).toHaveLength(5);
  });

  it('answers final and absent', async () => {
    await make();
    await records.desire(id, 'stop');
    expect(await records.updateSettings(id, { model: 'x' })).toEqual({ outcome: 'final' });
    expect(await records.updateSettings('never', { model: 'x' })).toEqual({ outcome: 'absent' });
  });
});

describe('malformed data', () => {
  it('is an error that names the field, and costs a list one entry', async () => {
    const createdBy = `key-${id}`;
    await make(id, createdBy);
    await make(`${id}-good`, createdBy);
    await redis.hset(keys.conversation(id).record, 'spec', '{broken');
    await expect(records.get(id)).rejects.toMatchObject({ code: 'internal', field: 'spec' });
    const { records: listed } = await records.list({ createdBy, limit: 10 });
    expect(listed.map((record) => record.conversationId)).toEqual([`${id}-good`]);
  });
});

describe('list', () => {
  it('pages newest first, keeps keys apart, filters, and repairs the index', async () => {
    const createdBy = `key-${id}`;
    const made = Array.from({ length: 23 }, (_, n) => `${id}-${String(n).padStart(2, '0')}`);
    await Promise.all(made.map((each) => make(each, createdBy))); // many share a millisecond
    await make(`${id}-theirs`, `other-${id}`);
    await redis.del(keys.conversation(`${id}-07`).record);
    await records.desire(`${id}-11`, 'stop');
    const seen: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await records.list({ createdBy, limit: 5, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.records.map((record) => record.conversationId));
      cursor = page.cursor;
      pages += 1;
    } while (cursor !== undefined && pages < 20);
    expect(seen.toSorted()).toEqual(made.filter((each) => each !== `${id}-07`));
    expect(await redis.zscore(keys.fleet.index(createdBy), `${id}-07`)).toBeNull();
    const ended = await records.list({ createdBy, state: 'ended', limit: 5 });
    expect(ended.records.map((record) => record.conversationId)).toEqual([`${id}-11`]);
    await expect(records.list({ createdBy, cursor: 'nonsense', limit: 5 })).rejects.toMatchObject({
      code: 'invalid-request',
      field: 'cursor',
    });
  });
});
