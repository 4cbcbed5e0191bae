import { FakeClock } from '@tavus-fleet/lifecycle';
import { expect, test } from 'vitest';
import { handle, type ControlJob } from './control.ts';
import { Sweeper } from './sweeper.ts';

const job = (more: Partial<ControlJob> = {}): ControlJob & { delays: number[] } => {
  const delays: number[] = [];
  return {
    name: 'stop',
    data: { v: 1, conversationId: 'c1' },
    attemptsStarted: 1,
    moveToDelayed: async (at) => void delays.push(at),
    delays,
    ...more,
  };
};

test('what is asked is written down', async () => {
  expect(await handle(job(), { desire: async () => 'accepted' })).toBe('accepted');
});

test.each([
  {
    what: 'a conversation id that is none',
    bad: { data: { v: 1, conversationId: 'a b' } },
    message: /^conversationId: /,
  },
  { what: 'another verb', bad: { name: 'pause' }, message: /^name: / },
])('$what fails for good', async ({ bad, message }) => {
  await expect(handle(job(bad), { desire: async () => 'accepted' })).rejects.toMatchObject({
    name: 'UnrecoverableError',
    message,
  });
});

test('an id without a record is put off, not waited for, and given up after ten looks', async () => {
  const absent = { desire: async () => 'absent' as const };
  const early = job();
  await expect(handle(early, absent)).rejects.toMatchObject({ name: 'DelayedError' });
  expect(early.delays).toHaveLength(1);
  await expect(handle(job({ attemptsStarted: 11 }), absent)).rejects.toMatchObject({ name: 'UnrecoverableError' });
});

test('the sweeper goes by Redis’ clock, and one record that cannot be read stops no other', async () => {
  const failed: string[] = [];
  const errors: unknown[] = [];
  const clock = new FakeClock(0); // ours is decades behind
  const redisNow = 1_800_000_000_000;
  const sweeper = new Sweeper(
    {
      nowMs: async () => redisNow,
      waiting: async () =>
        ['bad', 'old', 'new', 'live'].map((conversationId) => ({
          data: { v: 1, conversationId },
          enqueuedAt: redisNow - 5_000,
        })),
      createdAt: async ({ conversationId }) => {
        if (conversationId === 'bad') throw new Error('malformed');
        return {
          createdAt: redisNow - (conversationId === 'new' ? 1_000 : 61_000),
          startTimeoutSeconds: 60,
          queued: conversationId !== 'live',
        };
      },
      failStartTimeout: async (id) => void failed.push(id),
      oldest: (seconds) => expect(seconds).toBe(5),
    },
    clock,
    (error) => errors.push(error),
  );
  sweeper.start();
  await clock.pass(2_000);
  await sweeper.close();
  expect(failed).toEqual(['old']);
  expect(errors).toHaveLength(1);
  expect(clock.pending).toBe(0);
});
