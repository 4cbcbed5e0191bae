import { createHash } from 'node:crypto';
import { Secret } from '@tavus-fleet/config';
import { BY_QUEUE, type ConversationRecord } from '@tavus-fleet/contracts';
import { expect, it } from 'vitest';
import { buildApp } from './app.ts';
import { Client } from './test-client.ts';
import { KEY, OTHER_KEY, World, asA } from './test-world.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const a = { name: 'a', sha256: sha256(KEY) };

it.each([
  { keys: [a], when: 'one key', status: 200, listed: 1 },
  { keys: [a, { name: 'a', sha256: sha256('next') }], when: 'one name with two hashes', status: 200, listed: 1 },
  { keys: [a, { name: 'b', sha256: sha256(OTHER_KEY) }], when: 'two keys', status: 404, listed: 0 },
])('what was enqueued straight in Redis answers $status with $when', async ({ keys, status, listed }) => {
  const world = new World();
  const app = await buildApp({ ...world.deps(), keys: new Secret(keys) });
  const api = new Client(app);
  const id = await api.start({ replicaId: 'r1' });
  const record = world.records.get(id);
  if (!record) throw new Error('The start wrote no record.');
  const enqueued: ConversationRecord = { ...record, createdBy: BY_QUEUE };
  world.records.set(id, enqueued);
  expect((await app.inject({ url: `/v1/conversations/${id}`, headers: asA })).statusCode).toBe(status);
  expect(
    (await app.inject({ url: '/v1/conversations', headers: asA })).json<{ conversations: unknown[] }>().conversations,
  ).toHaveLength(listed);
  const stop = await app.inject({ method: 'POST', url: `/v1/conversations/${id}/stop`, headers: asA });
  expect(stop.statusCode).toBe(status === 200 ? 202 : 404);
  await app.close();
});
