import { FakeClock } from '@tavus-fleet/lifecycle';
import { expect, test } from 'vitest';
import { Tail } from './tail.ts';

function setup(from = '0') {
  const clock = new FakeClock();
  const world = { told: 0 };
  return { clock, tail: new Tail(clock, from), world, tell: () => void (world.told += 1) };
}

test('tells when what was there at that moment has been seen, once', async () => {
  const { clock, tail, world, tell } = setup();
  tail.saw('5-0');
  tail.reached(async () => '10-1', tell);
  await clock.pass(0);
  tail.saw('10-0');
  expect(world.told).toBe(0);
  tail.saw('10-1');
  tail.saw('11-0');
  expect(world.told).toBe(1);
  expect(clock.pending).toBe(0);
});

test('tells at once when everything has been seen, or nothing was ever there', async () => {
  const { clock, tail, world, tell } = setup('7-0');
  tail.reached(async () => '7-0', tell);
  await clock.pass(0);
  expect(world.told).toBe(1);

  const empty = setup();
  empty.tail.reached(async () => '0-0', empty.tell);
  await empty.clock.pass(0);
  expect(empty.world.told).toBe(1);
});

test('does not wait for a Redis that is silent or says no', async () => {
  const silent = setup();
  silent.tail.reached(() => new Promise(() => undefined), silent.tell);
  await silent.clock.pass(2_000);
  expect(silent.world.told).toBe(1);

  const failing = setup();
  failing.tail.reached(() => Promise.reject(new Error('down')), failing.tell);
  await failing.clock.pass(0);
  expect(failing.world.told).toBe(1);
  expect(failing.clock.pending).toBe(0);
});
