import { expect, test } from 'vitest';
import { FakeClock } from './fake-clock.ts';
import { Rounds } from './rounds.ts';

test('one round at a time, again and again; one that fails is told and not the last; closed there is none', async () => {
  const clock = new FakeClock();
  const errors: unknown[] = [];
  let begun = 0;
  let release = Promise.withResolvers<void>();
  const work = async (): Promise<void> => {
    begun += 1;
    await release.promise;
    if (begun === 2) throw new Error('second');
  };
  const rounds = new Rounds(work, { everyMs: 100, clock, onError: (error) => errors.push(error) });
  await rounds.close(); // not started yet: nothing to wait for
  rounds.start();
  rounds.start();
  await clock.pass(350);
  expect(begun).toBe(1); // it is still under way
  expect(rounds.now()).toBe(rounds.now());
  release.resolve();
  await clock.pass(100);
  expect(begun).toBe(2);
  expect(errors).toEqual([new Error('second')]);
  release = Promise.withResolvers();
  await clock.pass(100);
  expect(begun).toBe(3);
  const closing = rounds.close();
  let isClosed = false;
  void closing.then(() => (isClosed = true));
  await clock.pass(1_000);
  expect([begun, isClosed]).toEqual([3, false]); // it waits for the round under way
  release.resolve();
  await closing;
  await clock.pass(1_000);
  expect(begun).toBe(3);
  expect(clock.pending).toBe(0);
});
