import { jobs, queuePrefix } from '@tavus-fleet/contracts';
import { queueConnection } from '@tavus-fleet/redis';
import { redisFixture } from '@tavus-fleet/testkit';
import { Queue } from 'bullmq';
import { expect, test } from 'vitest';
import { ControlJobs } from './control.ts';

const fixture = redisFixture({
  allow: /:control:(\d+|failed)$/,
}); /* kept by age, which BullMQ applies at the next failure */

test('a job whose conversation is not known yet is looked at ten times more, in the queue, and then failed', async () => {
  let looks = 0;
  const control = new ControlJobs({
    connect: () => queueConnection(fixture.url, { role: 'worker', name: 'test' }),
    keyPrefix: fixture.keyPrefix,
    records: { desire: async () => ((looks += 1), 'absent') },
    waiting: async () => 0,
    onReplaced: () => undefined,
    onError: () => undefined,
  });
  const producer = queueConnection(fixture.url, { role: 'worker', name: 'producer' });
  const queue = new Queue(jobs.stop.queue, { connection: producer, prefix: queuePrefix(fixture.keyPrefix) });
  control.start();
  const job = await queue.add('stop', { v: 1, conversationId: 'nobody' });
  await expect.poll(() => job.getState(), { timeout: 10_000 }).toBe('failed');
  expect(looks).toBe(11);
  await control.close();
  await queue.close();
  producer.disconnect();
});
