import { FakeClock } from '@tavus-fleet/lifecycle';
import { expect, test } from 'vitest';
import { TakeoverSweeper } from './takeover-sweeper.ts';

function setup(options: { free: number; expired: string[] }) {
  const clock = new FakeClock();
  const world = { steadyMs: 4_000, free: options.free, expired: options.expired, looks: 0 };
  const taken: string[] = [];
  const woken: string[] = [];
  const errors: unknown[] = [];
  const sweeper = new TakeoverSweeper(
    {
      steadyMs: () => world.steadyMs,
      expired: async () => ((world.looks += 1), world.expired),
      whyNotOneMore: () => (world.free > 0 ? undefined : 'full'),
      take: async (id) => {
        world.free -= 1;
        taken.push(id);
        world.expired = world.expired.filter((other) => other !== id);
        if (id === 'bad') throw new Error('malformed');
      },
      enqueue: async (id) => void woken.push(id),
    },
    clock,
    (error) => errors.push(error),
    () => 0,
  );
  return { sweeper, world, clock, taken, woken, errors };
}

test('takes what it has slots for, at most three at a look, and wakes others for the rest', async () => {
  const { sweeper, taken, woken, clock } = setup({ free: 4, expired: ['a', 'b', 'c', 'd', 'e'] });
  sweeper.start();
  await clock.pass(250);
  expect([taken, woken]).toEqual([['a', 'b', 'c'], []]);
  await clock.pass(250);
  expect([taken, woken]).toEqual([['a', 'b', 'c', 'd'], ['e']]);
  await clock.pass(1_500);
  expect(woken).toEqual(['e']); // the queue holds that wake-up still
  await clock.pass(1_000);
  expect(woken).toEqual(['e', 'e']);
  await sweeper.close();
  expect(clock.pending).toBe(0);
});

test('calls nothing lost while its own Redis was not there all the time', async () => {
  const { sweeper, world, taken } = setup({ free: 1, expired: ['a'] });
  world.steadyMs = 3_999;
  await sweeper.sweep();
  expect([world.looks, taken]).toEqual([0, []]);
  world.steadyMs = 4_000;
  await sweeper.sweep();
  expect(taken).toEqual(['a']);
});

test('one that cannot be taken harms no other', async () => {
  const { sweeper, taken, errors } = setup({ free: 3, expired: ['bad', 'good'] });
  await sweeper.sweep();
  expect(taken).toEqual(['bad', 'good']);
  expect(errors).toHaveLength(1);
});
