import { StartRequest } from '@tavus-fleet/contracts';
import { redisFixture } from '@tavus-fleet/testkit';
import { expect, it } from 'vitest';
import { createKeys } from './keys.ts';
import { Leases } from './leases.ts';
import { Queued } from './queued.ts';
import { Records } from './records.ts';

const fixture = redisFixture({ allow: /:(record|frames|events)$/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const queued = new Queued(redis, keys);
const records = new Records(redis, keys);
const request = StartRequest.parse({ replicaId: 'r' });
const create = (conversationId: string) => records.create({ request, createdBy: 'k', conversationId });

it('a conversation has a place from before its record on until it is queued no more', async () => {
  for (const id of ['a', 'b', 'c', 'd']) await create(id);
  expect(await queued.place('c')).toEqual({ position: 3, ageMs: expect.any(Number) });
  await records.desire('a', 'cancel');
  await records.failUnowned('b', 'start-timeout');
  expect(await queued.place('a')).toBeUndefined();
  expect((await queued.place('c'))?.position).toBe(1);
  const acquired = await new Leases({ commands: redis, lease: redis, keys }).acquire('c', 'w1');
  if (!('ownership' in acquired)) throw new Error(acquired.refused);
  expect((await queued.place('c'))?.position).toBe(1);
  await records.move(acquired.ownership, 'starting');
  expect(await queued.place('c')).toBeUndefined();
  await create('c'); // a retry of the request that made it
  expect(await queued.oldest(10)).toEqual([{ id: 'd', since: expect.any(Number) }]);
  await expect.poll(async () => (await queued.length()).oldestMs, { interval: 5 }).toBeGreaterThan(10);
  expect((await queued.length()).count).toBe(1);
  await records.desire('d', 'stop');
  expect(await queued.length()).toEqual({ count: 0, oldestMs: 0 });
});
