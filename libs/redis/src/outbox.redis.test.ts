import { StartRequest, type Ownership } from '@tavus-fleet/contracts';
import { redisFixture } from '@tavus-fleet/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { EventLog } from './events.ts';
import { createKeys } from './keys.ts';
import { Leases } from './leases.ts';
import { silentLog } from './log.ts';
import { WebhookOutbox } from './outbox.ts';
import { Records } from './records.ts';
import { TavusNotices } from './tavus-callbacks.ts';

const fixture = redisFixture({ allow: /:(record|secrets|frames|events)$/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const records = new Records(redis, keys);
const events = new EventLog(redis, keys);
const leases = new Leases({ commands: redis, lease: redis, keys });
const outbox = new WebhookOutbox(redis, keys);
const notices = new TavusNotices(redis, keys, silentLog);

let id = '';
let count = 0;
beforeEach(async () => {
  await redis.del(keys.fleet.webhooks);
  id = `o${++count}`;
  await records.create({ request: StartRequest.parse({ replicaId: 'r' }), createdBy: 'k', conversationId: id });
  await due(); // the wake-up follows the write by itself
});

/** Ids that are due by now; waits for one, since wake-ups are not waited for. */
async function due(): Promise<string[]> {
  const taken: string[] = [];
  await expect
    .poll(async () => taken.push(...(await outbox.due(100)).map((each) => each.id)), { interval: 5, timeout: 2_000 })
    .toBeGreaterThan(0);
  return taken;
}
async function owned(): Promise<Ownership> {
  const acquired = await leases.acquire(id, 'w1');
  if (!('ownership' in acquired)) throw new Error(acquired.refused);
  return acquired.ownership;
}

describe('the index of the outbox', () => {
  it('has a conversation before anything is appended to it, so that no death leaves an event without a note', async () => {
    const seen: (string | null)[] = [];
    await redis.del(keys.fleet.webhooks);
    await outbox.around('before', async () => void seen.push(await redis.zscore(keys.fleet.webhooks, 'before')));
    expect(seen[0]).not.toBeNull();
    await expect(outbox.around('dies', () => Promise.reject(new Error('died')))).rejects.toThrow('died');
    expect(await redis.zscore(keys.fleet.webhooks, 'dies')).not.toBeNull();
  });

  it.each([
    { what: 'a move', write: async () => void (await records.move(await owned(), 'starting')) },
    { what: 'an end', write: async () => void (await records.end(await owned(), 'stopped')) },
    { what: 'a cancel of a queued one', write: async () => void (await records.desire(id, 'cancel')) },
    { what: 'a start that ran out', write: async () => void (await records.failUnowned(id, 'start-timeout')) },
    {
      what: 'a takeover',
      write: async () => void (await events.append(await owned(), { type: 'takeover', data: { fromEpoch: 1 } })),
    },
    {
      what: 'a callback with something for the backend',
      write: async () => void (await notices.take(id, { tavusConversationId: 't', mark: 'm', message: {} })),
    },
  ])('is woken by $what', async ({ write }) => {
    await write();
    expect(await due()).toEqual([id]);
  });

  it('is not woken by what is no webhook', async () => {
    await events.append(await owned(), { type: 'bot-started-speaking', data: { source: 'audio' } });
    expect(await outbox.due(10)).toEqual([]);
  });

  it('gives each conversation to one of many that ask at once', async () => {
    for (let n = 0; n < 50; n += 1) await outbox.around(`many${n}`, async () => undefined);
    await redis.ping();
    const rivals = Array.from({ length: 8 }, () => new WebhookOutbox(fixture.connect(), keys));
    const taken = (await Promise.all(rivals.map((each) => each.due(20)))).flat().map((each) => each.id);
    expect(taken.toSorted()).toEqual([...new Set(taken)].toSorted());
    expect(taken).toHaveLength(50);
  });

  it('keeps what was noted after it was taken', async () => {
    await outbox.around(id, async () => undefined);
    await redis.ping();
    const [taken] = await outbox.due(1);
    expect(taken?.id).toBe(id);
    await outbox.around(id, async () => undefined);
    await redis.ping();
    expect(taken && (await outbox.done(taken))).toBe('news');
    const [again] = await outbox.due(1);
    expect(again && (await outbox.done(again))).toBe('done');
    expect(await redis.zcard(keys.fleet.webhooks)).toBe(0);
  });

  it('forgets what nobody looked at while its events lived', async () => {
    await redis.zadd(keys.fleet.webhooks, Date.now() - 3 * 3_600_000, 'long-ago');
    await outbox.around(id, async () => undefined);
    await redis.ping();
    expect((await outbox.due(10)).map((each) => each.id)).toEqual([id]);
  });

  it('notes in the record how far was relayed, and brings no expired record back', async () => {
    expect(await outbox.relayedUpTo(id)).toBe('0');
    expect(await outbox.advance(id, '5-0')).toBe('advanced');
    expect(await outbox.relayedUpTo(id)).toBe('5-0');
    expect((await records.get(id))?.state).toBe('queued');
    expect(await outbox.advance('expired', '5-0')).toBe('absent');
    expect(await redis.exists(keys.conversation('expired').record)).toBe(0);
  });
});

describe('a callback of Tavus', () => {
  const shutdown = { tavusConversationId: 't1', mark: 'shutdown', shutdownReason: 'max_call_duration reached' };

  it('is taken once, whoever brings it and however often', async () => {
    const rivals = Array.from({ length: 5 }, () => new TavusNotices(fixture.connect(), keys, silentLog));
    const notice = { tavusConversationId: 't1', mark: 'transcript', message: { event_type: 'x' } };
    const outcomes = await Promise.all(rivals.flatMap((each) => [each.take(id, notice), each.take(id, notice)]));
    expect(outcomes.filter((outcome) => outcome === 'taken')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'seen')).toHaveLength(9);
    const { events: all } = await events.read(id, '0', 10);
    expect(all.filter(({ type }) => type === 'message').map(({ data }) => data)).toEqual([
      { fromId: 'tavus', message: { event_type: 'x' } },
    ]);
  });

  it('on the end of the call reaches the owner with its renewal, and the record', async () => {
    const owner = await owned();
    await records.patch(owner, { tavusConversationId: 't1' });
    expect(await leases.retake(owner)).toEqual({ status: 'held' });
    expect(await notices.take(id, shutdown)).toBe('taken');
    expect(await leases.retake(owner)).toEqual({ status: 'held', tavusShutdown: 'max_call_duration reached' });
    await records.desire(id, 'stop');
    expect(await leases.retake(owner)).toMatchObject({ desired: 'stop', tavusShutdown: 'max_call_duration reached' });
    expect((await records.get(id))?.tavusShutdown).toBe('t1 max_call_duration reached');
  });

  it('on the end of an earlier call is none of this one’s', async () => {
    const owner = await owned();
    await records.patch(owner, { tavusConversationId: 't2' });
    expect(await notices.take(id, shutdown)).toBe('stale');
    expect(await leases.retake(owner)).toEqual({ status: 'held' });
  });

  it('that is there before its call is noted counts once it is', async () => {
    const owner = await owned();
    expect(await notices.take(id, shutdown)).toBe('taken');
    expect(await leases.retake(owner)).toEqual({ status: 'held' });
    await records.patch(owner, { tavusConversationId: 't1' });
    expect(await leases.retake(owner)).toMatchObject({ tavusShutdown: 'max_call_duration reached' });
  });

  it('after the end is an event that goes with the others', async () => {
    await records.desire(id, 'cancel');
    await redis.del(keys.conversation(id).events); // an hour later
    expect(await notices.take(id, { tavusConversationId: 't1', mark: 'm', message: 1 })).toBe('taken');
    expect(await redis.ttl(keys.conversation(id).events)).toBeGreaterThan(0);
  });

  it('of no conversation is nobody’s, and one conversation takes two hundred', async () => {
    expect(await notices.take('never-was', shutdown)).toBe('absent');
    expect(await redis.exists(keys.conversation('never-was').record)).toBe(0);
    const all = Array.from({ length: 210 }, (_, n) =>
      notices.take(id, { tavusConversationId: 't', mark: `m${n}`, message: n }),
    );
    const outcomes = await Promise.all(all);
    expect(outcomes.filter((outcome) => outcome === 'full')).toHaveLength(10);
    expect((await records.get(id))?.state).toBe('queued');
  });
});
