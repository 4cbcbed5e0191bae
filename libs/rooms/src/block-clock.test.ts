import { expect, it } from 'vitest';
import { BlockClock } from './block-clock.ts';

const BLOCK_MS = 20;

/** The steps between the times of blocks that arrive when `lateMs` says, beside their due time. */
function steps(count: number, lateMs: (block: number) => number): number[] {
  const clock = new BlockClock();
  const times = Array.from({ length: count }, (_, at) =>
    clock.next(1_000 + (at + 1) * BLOCK_MS + lateMs(at), BLOCK_MS),
  );
  return times.slice(1).map((time, at) => time - (times[at] ?? 0));
}
const seams = (all: readonly number[]): number[] =>
  all.filter((step) => Math.abs(step - BLOCK_MS) > 0.05).map(Math.round);

it('spaces blocks evenly although they arrive with jitter', () => {
  expect(new BlockClock().next(1_020, BLOCK_MS)).toBe(1_000);
  expect(seams(steps(500, (at) => (at % 3) * 8))).toEqual([]);
  expect(seams(steps(500, (at) => (at % 50 === 49 ? 55 : 0)))).toEqual([]);
});

it('follows a clock that drifts', () => {
  const clock = new BlockClock();
  let last = 0;
  const arrival = (at: number): number => (at + 1) * BLOCK_MS * 1.001;
  for (let at = 0; at < 5_000; at += 1) last = clock.next(arrival(at), BLOCK_MS);
  expect(Math.abs(last - (arrival(4_999) - BLOCK_MS))).toBeLessThan(5);
});

it.each([
  { when: 'a long standstill', lateMs: 300 },
  { when: 'a short standstill', lateMs: 30 },
])('makes up for $when in one place', ({ lateMs }) => {
  expect(seams(steps(300, (at) => (at < 100 ? 0 : lateMs)))).toEqual([BLOCK_MS + lateMs]);
});

it('never goes back for blocks that come too fast, and is where they are soon', () => {
  const clock = new BlockClock();
  const arrivals = Array.from({ length: 200 }, (_, at) => 1_000 + (at + 1) * BLOCK_MS - (at < 100 ? 0 : 100));
  const times = arrivals.map((now) => clock.next(now, BLOCK_MS));
  expect(times.every((time, at) => at === 0 || time > (times[at - 1] ?? 0))).toBe(true);
  expect(Math.abs((times[130] ?? 0) - (arrivals[130] ?? 0) + BLOCK_MS)).toBeLessThan(6);
});
