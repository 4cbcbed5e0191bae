import { StartRequest } from '@tavus-fleet/contracts';
import { redisFixture, startRedis } from '@tavus-fleet/testkit';
import { expect, it } from 'vitest';
import { connectRedis } from './connect.ts';
import { createKeys } from './keys.ts';
import { Leases } from './leases.ts';
import { Ledger, type OwnRow } from './ledger.ts';
import { silentLog } from './log.ts';
import { ReaperNotes } from './reaper-notes.ts';
import { Records } from './records.ts';
import { Turns } from './turns.ts';
import { whereabouts } from './whereabouts.ts';

const fixture = redisFixture({ allow: /:(record|frames|events|ledger)$/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const notes = new ReaperNotes(redis, keys);

it('of many that ask for a turn at once one has it, until its time is over', async () => {
  const turns = new Turns(redis, keys);
  const asked = await Promise.all(Array.from({ length: 20 }, () => turns.take('x', 60)));
  expect(asked.filter(Boolean)).toHaveLength(1);
  expect(await turns.take('y', 60)).toBe(true);
  await expect.poll(() => turns.take('x', 60), { interval: 5 }).toBe(true);
});

it('remembers since when something is suspected, over passes, and forgets what was explained', async () => {
  expect(await notes.suspect(['a', 'b'], 1_000)).toEqual([1_000, 1_000]);
  expect(await notes.suspect(['b', 'c'], 2_000)).toEqual([1_000, 2_000]);
  expect(await notes.suspect(['a', 'b'], 3_000)).toEqual([3_000, 1_000]);
  expect(await notes.suspect([], 4_000)).toEqual([]);
  expect(await notes.suspect(['b'], 5_000)).toEqual([5_000]);
});

it('keeps the last finding for every process to show', async () => {
  const { nowMs } = await notes.known();
  const audit = { at: nowMs - 50_000, active: 3, rows: 2, unended: 1 };
  await notes.saveAudit(audit);
  const read = await new ReaperNotes(fixture.connect(), keys).audit();
  expect(read).toMatchObject(audit);
  expect(read?.ageMs).toBeGreaterThan(48_000);
  expect(read?.ageMs).toBeLessThan(60_000);
  await redis.set(keys.fleet.audit, '{', 'PX', 1_000);
  expect(await notes.audit()).toBeUndefined();
});

it('knows for how long this Redis has been known, and that it is another one after a restart', async () => {
  const server = await startRedis({ appendOnly: true });
  const there = connectRedis(server.url, { role: 'commands', name: 'since', log: silentLog });
  const own = new ReaperNotes(there, keys);
  const first = await own.known();
  expect(first.forMs).toBe(0);
  expect(Math.abs(first.nowMs - Date.now())).toBeLessThan(60_000);
  await expect.poll(async () => (await own.known()).forMs, { interval: 5 }).toBeGreaterThan(20);
  await server.restart(); // with its data
  await expect.poll(async () => (await own.known().catch(() => undefined))?.forMs, { timeout: 8_000 }).toBe(0);
  await there.flushall();
  expect((await own.known()).forMs).toBe(0);
  there.disconnect();
  await server.stop();
});

it('says how conversations stand, also those that are not there or cannot be read', async () => {
  const records = new Records(redis, keys);
  await records.create({ request: StartRequest.parse({ replicaId: 'r' }), createdBy: 'k', conversationId: 'there' });
  const acquired = await new Leases({ commands: redis, lease: redis, keys }).acquire('there', 'w1');
  if (!('ownership' in acquired)) throw new Error(acquired.refused);
  await records.patch(acquired.ownership, { tavusConversationId: 't1' });
  await redis.hset(keys.conversation('odd').record, 'state', 'dreaming');
  expect(Object.fromEntries(await whereabouts(redis, keys, ['there', 'never', 'odd']))).toEqual({
    there: { state: 'queued', epoch: 1, leased: true, owner: 'w1', tavusConversationId: 't1' },
    never: { state: 'absent', epoch: 0, leased: false },
    odd: { state: 'unreadable', epoch: 0, leased: false },
  });
  expect(
    (
      await whereabouts(
        redis,
        keys,
        Array.from({ length: 1_200 }, (_, n) => `n${n}`),
      )
    ).size,
  ).toBe(1_200);
});

it('writes rows anew that are gone, with their ids, and changes none that is there', async () => {
  const ledger = new Ledger(redis, keys);
  const row = (n: number): OwnRow => ({ conversationId: `c${n}`, epoch: 1, attempt: 1, name: `n${n}`, workerId: 'w1' });
  await ledger.intend(row(1));
  await ledger.adopted(row(1), 'tv1');
  const [before] = await ledger.open();
  expect(await ledger.keep([row(1), { ...row(2), tavusConversationId: 'tv2' }])).toBe(1);
  const rows = await ledger.open();
  expect(rows.find(({ name }) => name === 'n1')).toEqual(before);
  expect(rows.find(({ name }) => name === 'n2')).toMatchObject({ tavusConversationId: 'tv2', conversationId: 'c2' });
  expect(await ledger.keep([])).toBe(0);
  for (const { name } of rows) await ledger.closed(name);
});
