// A partition that nobody announces: the queue workers' connections stay open and no byte comes any more. They must see it through the
// queue itself, make new ones, and take the next job; and must not take a queue with nothing in it, or a silent Redis, for one.
import { queueConnection, Queues } from '@tavus-fleet/redis';
import { redisFixture, SilentProxy } from '@tavus-fleet/testkit';
import { expect, test } from 'vitest';
import { ControlJobs } from './control.ts';
import { BullStartJobs, type ClaimedJob } from './start-jobs.ts';

const fixture = redisFixture({ allow: /:(sessions|control):/ });

async function world() {
  const way = await SilentProxy.start(Number(new URL(fixture.url).port));
  const queues = new Queues(fixture.url, fixture.keyPrefix);
  const connect = () => queueConnection(way.url, { role: 'worker', name: 'wedged' });
  return { way, queues, connect, keyPrefix: fixture.keyPrefix, onError: () => undefined };
}

test('start jobs: noticed within 5 s, and the next job is taken', async () => {
  const { way, queues, ...own } = await world();
  let replaced = 0;
  const startJobs = new BullStartJobs({
    ...own,
    delayed: () => queues.count('sessions', 'delayed'),
    onReplaced: () => (replaced += 1),
  });
  await startJobs.start();
  await queues.enqueue('start', { v: 1, conversationId: 'before' });
  const first = await startJobs.next();
  await first?.done();
  const empty = await startJobs.next(); // nothing there, and nothing wrong
  expect([empty, replaced]).toEqual([undefined, 0]);
  way.mute();
  const muted = performance.now();
  await queues.enqueue('start', { v: 1, conversationId: 'after' });
  let job: ClaimedJob | undefined;
  while (!job) job = await startJobs.next();
  expect(performance.now() - muted).toBeLessThan(6_000);
  expect(job.data).toMatchObject({ conversationId: 'after' });
  expect(replaced).toBeLessThanOrEqual(1); // BullMQ notices a dead blocking connection by itself; a dead one beside it, it does not
  await job.done();
  await startJobs.close();
  await queues.close();
  way[Symbol.dispose]();
});

test('control jobs: noticed through the jobs that wait, within 5 s', async () => {
  const { way, queues, ...own } = await world();
  const asked: string[] = [];
  let replaced = 0;
  const control = new ControlJobs({
    ...own,
    records: { desire: async (id) => (asked.push(id), 'accepted') },
    waiting: () => queues.count('control', 'wait'),
    onReplaced: () => (replaced += 1),
  });
  control.start();
  await queues.enqueue('stop', { v: 1, conversationId: 'before' });
  await expect.poll(() => asked, { timeout: 5_000 }).toEqual(['before']);
  way.mute();
  const muted = performance.now();
  await queues.enqueue('stop', { v: 1, conversationId: 'after' });
  await expect.poll(() => asked, { timeout: 10_000, interval: 20 }).toEqual(['before', 'after']);
  expect(performance.now() - muted).toBeLessThan(6_000);
  expect(replaced).toBe(1);
  await control.close();
  await queues.close();
  way[Symbol.dispose]();
});
