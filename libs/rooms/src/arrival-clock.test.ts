import { expect, it } from 'vitest';
import { ArrivalClock } from './arrival-clock.ts';

const seq = (count: number, map: (at: number) => number): number[] => Array.from({ length: count }, (_, at) => map(at));

it('gives even times whatever the jitter, from the least delayed one on', () => {
  const clock = new ArrivalClock();
  const delays = [9, 3, 30, 0, 12, 250, 200, 7];
  const times = delays.map((delay, at) => clock.at(at * 40, 1_000 + at * 40 + delay));
  expect(times).toEqual([1_009, 1_043, 1_083, 1_120, 1_160, 1_200, 1_240, 1_280]);
});

it('follows clocks that drift apart, and a way that becomes longer, within three seconds', () => {
  for (const rate of [1 + 1e-4, 1 - 1e-4]) {
    const clock = new ArrivalClock();
    const last = seq(10_000, (at) => clock.at(at * 40, 5_000 + at * 40 * rate)).at(-1) ?? 0;
    expect(Math.abs(last - (5_000 + 9_999 * 40 * rate))).toBeLessThan(1);
  }
  const clock = new ArrivalClock();
  const late = seq(200, (at) => clock.at(at * 40, at * 40 + (at < 100 ? 0 : 80)) - at * 40);
  expect(late.slice(0, 130)).toEqual(seq(130, () => 0));
  expect(late.slice(100 + 3_200 / 40)).toEqual(seq(20, () => 80));
});

it('goes on over the wrap of the stamps, and over one that comes out of order there', () => {
  const wrap = 2 ** 32 / 90;
  const clock = new ArrivalClock(wrap);
  const sent = [0, 40, 80, 60, 120];
  const times = sent.map((ms) => clock.at((wrap - 80 + ms) % wrap, 10_000 + ms));
  expect(times.map((time) => Math.round(time - (times[0] ?? 0)))).toEqual([0, 40, 80, 60, 120]);
});

it.each([100_000, -100_000])('begins anew when the source does, %i ms away', (jump) => {
  const clock = new ArrivalClock();
  expect(clock.at(0, 1_000)).toBe(1_000);
  expect(clock.at(jump, 1_040)).toBe(1_040);
  expect(clock.at(jump + 40, 1_085)).toBe(1_080);
});

it('begins anew after a long pause', () => {
  const clock = new ArrivalClock();
  clock.at(0, 1_000);
  expect(clock.at(10_000, 11_070)).toBe(11_070);
});

it('never says that something came after it was seen', () => {
  const clock = new ArrivalClock();
  for (let at = 0; at < 1_000; at += 1) {
    const now = 1_000 + at * 20 + ((at * 7_919) % 97);
    expect(clock.at(at * 20, now)).toBeLessThanOrEqual(now);
  }
});
