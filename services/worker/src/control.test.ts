import { expect, test } from 'vitest';
import { handle, type ControlJob } from './control.ts';

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
