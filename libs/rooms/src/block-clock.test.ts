import { expect, it } from 'vitest';
import { BlockClock } from './block-clock.ts';

const BLOCK_MS = 20;

it('spaces blocks evenly although they arrive with jitter', () => {
  const clock = new BlockClock();
  const times = Array.from({ length: 500 }, (_, at) =>
    clock.next(1_000 + (at + 1) * BLOCK_MS + (at % 3) * 8, BLOCK_MS),
  );
  const steps = times.slice(1).map((time, at) => time - (times[at] ?? 0));
  expect(times[0]).toBe(1_000);
  expect(Math.max(...steps.map((step) => Math.abs(step - BLOCK_MS)))).toBeLessThan(0.2);
});

it('follows a clock that drifts', () => {
  const clock = new BlockClock();
  let last = 0;
  const arrival = (at: number): number => (at + 1) * BLOCK_MS * 1.001;
  for (let at = 0; at < 5_000; at += 1) last = clock.next(arrival(at), BLOCK_MS);
  expect(Math.abs(last - (arrival(4_999) - BLOCK_MS))).toBeLessThan(5);
});

it('jumps over a pause and never goes back for blocks that come in a bunch', () => {
  const clock = new BlockClock();
  clock.next(20, BLOCK_MS);
  expect(clock.next(1_040, BLOCK_MS)).toBe(1_020);
  const bunch = [1_041, 1_042, 1_043].map((now) => clock.next(now, BLOCK_MS));
  expect(bunch.every((time, at) => time > (bunch[at - 1] ?? 1_020))).toBe(true);
});
