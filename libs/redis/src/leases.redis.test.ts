import { StartRequest, type Ownership } from '@tavus-fleet/contracts';
import { redisFixture, startRedis } from '@tavus-fleet/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { connectRedis } from './connect.ts';
import { createKeys } from './keys.ts';
import { Leases, newNonce, type Owned } from './leases.ts';
import { silentLog } from './log.ts';
import { Records } from './records.ts';
import { redisTime } from './redis-time.ts';

const fixture = redisFixture({ allow: /:(record|secrets|frames|events)$/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const records = new Records(redis, keys);
const leases = new Leases({ commands: redis, lease: redis, keys });
const brief = new Leases({ commands: redis, lease: redis, keys, ttlMs: 40 });

let id = '';
let count = 0;
beforeEach(async () => {
  id = `l${++count}`;
  await records.create({ request: StartRequest.parse({ replicaId: 'r' }), createdBy: 'k', conversationId: id });
});
async function owned(from = leases): Promise<Ownership> {
  const acquired = await from.acquire(id, 'w1');
  if (!('ownership' in acquired)) throw new Error(acquired.refused);
  return acquired.ownership;
}
/** Waits for Redis' word that the lease has run out. */
const runOut = (): Promise<void> =>
  expect.poll(() => redis.exists(keys.conversation(id).lease), { interval: 5, timeout: 2000 }).toBe(0);

describe('acquire', () => {
  it('of a hundred at once on ten connections makes one owner', async () => {
    const rivals = Array.from({ length: 10 }, () => fixture.connect()).map(
      (each) => new Leases({ commands: each, lease: each, keys }),
    );
    const tries = await Promise.all(
      Array.from({ length: 100 }, (_, n) => (rivals[n % 10] ?? leases).acquire(id, `w${n}`)),
    );
    const owners = tries.filter((each) => 'ownership' in each);
    expect(owners).toHaveLength(1);
    expect(tries.filter((each) => 'refused' in each && each.refused === 'held')).toHaveLength(99);
    expect(await records.get(id)).toMatchObject({ epoch: 1 });
  });

  it('answers absent and final', async () => {
    expect(await leases.acquire('never', 'w1')).toEqual({ refused: 'absent' });
    await records.desire(id, 'cancel');
    expect(await leases.acquire(id, 'w1')).toEqual({ refused: 'final' });
  });

  it('keeps the lease at the documented length and value', async () => {
    const owner = await owned();
    expect(await redis.get(keys.conversation(id).lease)).toBe(`${owner.nonce}:1`);
    const left = await redis.pttl(keys.conversation(id).lease);
    expect(left).toBeGreaterThan(2000);
    expect(left).toBeLessThanOrEqual(3000);
  });

  it('after it ran out the next owner has the next epoch, and the first is fenced', async () => {
    const first = await owned(brief);
    await runOut();
    expect(await brief.expired()).toContain(id);
    const second = await owned();
    expect(second.epoch).toBe(2);
    expect(await leases.retake(first)).toEqual({ status: 'lost' });
    expect(await leases.release(first)).toBe('fenced');
    expect(await redis.get(keys.conversation(id).lease)).toBe(`${second.nonce}:2`);
    expect((await leases.renewAll([first, second])).size).toBe(1); // one conversation, asked for twice
    expect(await brief.expired()).not.toContain(id);
  });
});

describe('an owner that was lost', () => {
  const take = async (worker: string): Promise<Owned> => {
    const acquired = await brief.acquire(id, worker);
    if (!('ownership' in acquired)) throw new Error(acquired.refused);
    await runOut();
    return acquired;
  };

  it('is named to its successor, with when it was seen; one that gave the conversation back is not', async () => {
    const first = await owned();
    expect((await leases.renewAll([first])).get(id)).toEqual({ status: 'held' });
    const seenAt = Number(await redis.hget(keys.conversation(id).record, 'seenAt'));
    await redis.del(keys.conversation(id).lease);
    const second = await leases.acquire(id, 'w2');
    expect(second).toMatchObject({ predecessor: { epoch: 1, crashes: 1, seenAt } });
    if ('ownership' in second) await leases.release(second.ownership);
    expect(await leases.acquire(id, 'w3')).not.toHaveProperty('predecessor');
  });

  it('is counted; a minute of calm begins the count anew', async () => {
    expect(await take('w1')).not.toHaveProperty('predecessor');
    expect((await take('w2')).predecessor).toMatchObject({ epoch: 1, crashes: 1 });
    expect((await take('w3')).predecessor).toMatchObject({ epoch: 2, crashes: 2 });
    const { record } = keys.conversation(id);
    const now = Number(await redis.hget(record, 'seenAt'));
    await redis.hset(record, { ownedAt: String(now - 60_000) });
    expect((await take('w4')).predecessor).toMatchObject({ epoch: 3, crashes: 1 });
    expect((await take('w5')).predecessor).toMatchObject({ epoch: 4, crashes: 2 });
    expect((await take('w6')).predecessor).toMatchObject({ epoch: 5, crashes: 3 });
  });

  it('is looked at again when its lease runs out, not later, if the index had it due while it was held', async () => {
    await owned();
    await redis.zadd(keys.fleet.leases, 1, id);
    await redis.pexpire(keys.conversation(id).lease, 500);
    expect(await leases.expired()).not.toContain(id);
    const dueInMs = Number(await redis.zscore(keys.fleet.leases, id)) - (await redisTime(redis));
    expect(dueInMs).toBeGreaterThan(0);
    expect(dueInMs).toBeLessThanOrEqual(501);
  });

  it('is in the sweepers’ index also when it died before it could renew', async () => {
    await take('w1');
    expect(await brief.expired()).toContain(id);
    await redis.zrem(keys.fleet.leases, id);
    await owned(brief);
    expect(await redis.zscore(keys.fleet.leases, id)).not.toBeNull();
  });
});

describe('recover', () => {
  it('is the next epoch of the same worker, without a moment without an owner; the old session is fenced', async () => {
    const owner = await owned();
    const anew = await leases.recover(owner, 'w1', false);
    if (!('ownership' in anew)) throw new Error(anew.refused);
    expect(anew).toMatchObject({ ownership: { epoch: 2 }, predecessor: { epoch: 1, crashes: 0 } });
    expect(await leases.acquire(id, 'w2')).toEqual({ refused: 'held' });
    expect(await records.patch(owner, { position: '6-0' })).toBe('fenced');
    expect(await leases.recover(owner, 'w1', true)).toEqual({ refused: 'fenced' });
    const third = await leases.recover(anew.ownership, 'w1', true);
    expect(third).toMatchObject({ ownership: { epoch: 3 }, predecessor: { epoch: 2, crashes: 1 } });
    if (!('ownership' in third)) throw new Error(third.refused);
    await records.end(third.ownership, 'idle');
    expect(await leases.recover(third.ownership, 'w1', true)).toEqual({ refused: 'final' });
  });
});

describe('renewAll', () => {
  it('renews many at once, with what was desired', async () => {
    const owners: Ownership[] = [];
    for (let n = 0; n < 50; n += 1) {
      const each = `${id}-${n}`;
      await records.create({ request: StartRequest.parse({ replicaId: 'r' }), createdBy: 'k', conversationId: each });
      const acquired = await leases.acquire(each, 'w1');
      if ('ownership' in acquired) owners.push(acquired.ownership);
    }
    await records.desire(`${id}-7`, 'stop');
    const renewals = await leases.renewAll(owners);
    expect([...renewals.values()].filter((each) => each.status === 'held')).toHaveLength(50);
    expect(renewals.get(`${id}-7`)).toEqual({ status: 'held', desired: 'stop' });
  });

  it('takes back what only silence had let run out', async () => {
    const owner = await owned(brief);
    await runOut();
    expect((await leases.renewAll([owner])).get(id)).toEqual({ status: 'held' });
    expect(await leases.acquire(id, 'w2')).toEqual({ refused: 'held' });
  });

  it.each([
    { what: 'another nonce', forge: (o: Ownership) => ({ ...o, nonce: newNonce() }), status: 'lost' },
    { what: 'another epoch', forge: (o: Ownership) => ({ ...o, epoch: 7 }), status: 'lost' },
    { what: 'no record', forge: (o: Ownership) => ({ ...o, conversationId: 'never' }), status: 'absent' },
  ])('with $what: $status', async ({ forge, status }) => {
    const forged = forge(await owned());
    expect((await leases.renewAll([forged])).get(forged.conversationId)).toEqual({ status });
    expect(await redis.exists(keys.conversation('never').lease)).toBe(0);
  });

  it('never takes over a lease that is another one, also when the record still names us', async () => {
    const owner = await owned();
    await redis.set(keys.conversation(id).lease, 'somebody:9', 'PX', 5000);
    expect((await leases.renewAll([owner])).get(id)).toEqual({ status: 'lost' });
    expect(await redis.get(keys.conversation(id).lease)).toBe('somebody:9');
  });

  it('survives that the server forgets the scripts', async () => {
    const owner = await owned();
    await redis.script('FLUSH');
    expect((await leases.renewAll([owner])).get(id)).toEqual({ status: 'held' });
  });

  it('rejects as a whole while Redis is silent, and knows again afterwards', async () => {
    await using server = await disposableRedis();
    const own = (role: 'commands' | 'lease') => connectRedis(server.url, { role, name: role, log: silentLog });
    const [commands, lease] = [own('commands'), own('lease')];
    const there = new Leases({ commands, lease, keys });
    await new Records(commands, keys).create({
      request: StartRequest.parse({ replicaId: 'r' }),
      createdBy: 'k',
      conversationId: id,
    });
    const acquired = await there.acquire(id, 'w1');
    if (!('ownership' in acquired)) throw new Error(acquired.refused);
    expect((await there.renewAll([acquired.ownership])).get(id)).toEqual({ status: 'held' });
    await server.pause();
    const asked = performance.now();
    await expect(there.renewAll([acquired.ownership])).rejects.toMatchObject({ code: 'redis-unavailable' });
    expect(performance.now() - asked).toBeLessThan(1500);
    await server.resume();
    const known = async (): Promise<unknown> =>
      (await there.renewAll([acquired.ownership]).catch(() => new Map())).get(id);
    await expect.poll(known, { timeout: 8000, interval: 50 }).toEqual({ status: 'held' });
    commands.disconnect();
    lease.disconnect();
  });
});

describe('release', () => {
  it('lets the next owner in at once and does not come back', async () => {
    const owner = await owned();
    expect(await leases.release(owner)).toBe('released');
    expect(await leases.release(owner)).toBe('fenced');
    expect((await leases.renewAll([owner])).get(id)).toEqual({ status: 'lost' });
    expect((await records.get(id))?.owner).toBeUndefined();
    expect(await owned()).toMatchObject({ epoch: 2 });
  });

  it('after the end keeps the name of the last owner and leaves the index', async () => {
    const owner = await owned(brief);
    await records.end(owner, 'idle');
    expect(await leases.release(owner)).toBe('released');
    expect((await records.get(id))?.owner).toBe('w1');
    expect(await redis.exists(keys.conversation(id).lease)).toBe(0);
    await expect
      .poll(
        async () => (await brief.expired(1000)).includes(id) || (await redis.zscore(keys.fleet.leases, id)) !== null,
      )
      .toBe(false);
  });
});

async function disposableRedis() {
  const server = await startRedis();
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() });
}
