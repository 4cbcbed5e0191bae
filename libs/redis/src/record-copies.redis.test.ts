import { StartRequest, type Ownership } from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { redisFixture } from '@tavus-fleet/testkit';
import { beforeEach, expect, it } from 'vitest';
import { EventLog } from './events.ts';
import { createKeys } from './keys.ts';
import { Leases } from './leases.ts';
import { RecordCopies } from './record-copies.ts';
import { Records } from './records.ts';
import { conversationKeyList } from './scripts.ts';

const fixture = redisFixture({ allow: /:(record|secrets|frames|events|lease)$/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const records = new Records(redis, keys);
const events = new EventLog(redis, keys);
const leases = new Leases({ commands: redis, lease: redis, keys, ttlMs: 600_000 });
const request = StartRequest.parse({
  replicaId: 'r',
  output: { room: { url: 'https://acme.daily.co/lobby', token: 't' } },
});

let count = 0;
let id = '';
beforeEach(async () => {
  id = `copy${++count}`;
  await records.create({ request, createdBy: 'k', conversationId: id });
});

async function owned(worker: string): Promise<Ownership> {
  const acquired = await leases.acquire(id, worker);
  if (!('ownership' in acquired)) throw new Error(acquired.refused);
  return acquired.ownership;
}
async function live(owner: Ownership): Promise<void> {
  await records.move(owner, 'starting');
  await records.saveSecrets(owner, { conversationUrl: 'https://tavus.daily.co/x' });
  await records.patch(owner, { tavusConversationId: 'tc1' });
  await records.move(owner, 'live');
}
function copies(): { of: RecordCopies; clock: FakeClock } {
  const clock = new FakeClock();
  return { clock, of: new RecordCopies({ redis, keys, leases, clock }) };
}
/** One renewal, and the copy that follows it in its own time. */
async function copied(of: RecordCopies, owner: Ownership): Promise<void> {
  await of.renewAll([owner]);
  await redis.ping(); // the copy was asked for on the same connection
  await new Promise(setImmediate);
}
const forget = async (): Promise<void> => {
  await redis.del(...conversationKeyList(keys.conversation(id)));
  await redis.del(keys.fleet.index('k'));
};

it('what Redis has lost is there again, with owner, epoch, secrets, index and the word that it is live', async () => {
  const { of } = copies();
  const owner = await owned('w1');
  await live(owner);
  await copied(of, owner);
  const before = await records.get(id);
  await forget();
  await expect(records.patch(owner, { position: '5-0' })).rejects.toMatchObject({ code: 'redis-unavailable' });
  expect(await of.renewAll([owner])).toEqual(new Map([[id, { status: 'held' }]]));
  expect(await records.get(id)).toEqual(before);
  expect(await records.secrets(id)).toEqual({
    userRoomUrl: 'https://acme.daily.co/lobby',
    userRoomToken: 't',
    conversationUrl: 'https://tavus.daily.co/x',
  });
  expect(await redis.get(keys.conversation(id).lease)).toBe(`${owner.nonce}:1`);
  expect((await records.list({ createdBy: 'k', limit: 10 })).records.map((each) => each.conversationId)).toEqual([id]);
  expect((await events.read(id, '0', 10)).events).toMatchObject([{ type: 'state', epoch: 1, data: { state: 'live' } }]);
  expect(await records.patch(owner, { position: '5-0' })).toBe('patched');
  expect(await of.renewAll([owner])).toEqual(new Map([[id, { status: 'held' }]]));
});

it('an owner that asks twice, because an answer was lost, still owns it', async () => {
  const [once, again] = [copies().of, copies().of];
  const owner = await owned('w1');
  await live(owner);
  await copied(once, owner);
  await copied(again, owner);
  await forget();
  // On one connection: both find it gone, then both write it.
  const answers = await Promise.all([once.renewAll([owner]), again.renewAll([owner])]);
  expect(answers.map((renewals) => renewals.get(id))).toEqual([{ status: 'held' }, { status: 'held' }]);
  expect((await events.read(id, '0', 10)).events).toHaveLength(1);
});

it('a stop that was asked for before the last copy is remembered, one of after it is not', async () => {
  const { of, clock } = copies();
  const owner = await owned('w1');
  await live(owner);
  await copied(of, owner);
  await records.desire(id, 'stop');
  await copied(of, owner); // too soon for another copy
  await forget();
  expect((await of.renewAll([owner])).get(id)).toEqual({ status: 'held' });
  await records.desire(id, 'stop');
  await clock.pass(5_000);
  await copied(of, owner);
  await forget();
  expect((await of.renewAll([owner])).get(id)).toEqual({ status: 'held', desired: 'stop' });
});

it('one that still starts is not kept', async () => {
  const { of } = copies();
  const owner = await owned('w1');
  await records.move(owner, 'starting');
  await copied(of, owner);
  await forget();
  expect((await of.renewAll([owner])).get(id)).toEqual({ status: 'absent' });
});

it('what somebody has made under the same id since is left alone', async () => {
  const { of } = copies();
  const owner = await owned('w1');
  await live(owner);
  await copied(of, owner);
  await forget();
  await records.create({ request, createdBy: 'other', conversationId: id });
  expect((await of.renewAll([owner])).get(id)).toEqual({ status: 'lost' });
  expect(await records.get(id)).toMatchObject({ state: 'queued', createdBy: 'other', epoch: 0 });
});

it.each(['the old owner first', 'the new owner first'] as const)(
  'of two that remember it the newer one has it in the end: %s',
  async (order) => {
    const [old, young] = [copies().of, copies().of];
    const first = await owned('w1');
    await live(first);
    await copied(old, first);
    await redis.del(keys.conversation(id).lease);
    const second = await owned('w2'); // the first one stands still, and knows of nothing
    await copied(young, second);
    await forget();
    const turns = [
      (): Promise<unknown> => old.renewAll([first]),
      (): Promise<unknown> => young.renewAll([second]),
    ] as const;
    for (const turn of order === 'the old owner first' ? turns : turns.toReversed()) await turn();
    expect((await young.renewAll([second])).get(id)).toEqual({ status: 'held' });
    expect((await old.renewAll([first])).get(id)).toEqual({ status: 'lost' });
    expect(await records.get(id)).toMatchObject({ epoch: 2, owner: 'w2', state: 'live' });
    expect(await records.patch(first, { position: '9-0' })).toBe('fenced');
  },
);
