import { expect, it } from 'vitest';
import { PictureClock } from './picture-clock.ts';

const rtp = (ms: number): number => Math.round((ms * 90 + 4_294_000_000) % 2 ** 32); // wraps after some seconds

it('times a picture as if it had waited as long as the sound, and were as old', () => {
  const clock = new PictureClock();
  clock.delays = { audioMs: 80, videoMs: 12 };
  expect(clock.received(rtp(0), 1_000)).toBe(1_106);
  expect(clock.received(rtp(40), 1_070)).toBeCloseTo(1_146, 1); // 30 ms late
  const decoded = new PictureClock();
  decoded.delays = { audioMs: 80, videoMs: 12 };
  expect(decoded.decoded(rtp(0), 1_012)).toBe(1_106);
  expect(decoded.decoded(undefined, 1_052)).toBe(1_146);
});

it('goes on evenly over the wrap of the time stamps', () => {
  const clock = new PictureClock();
  const times = Array.from({ length: 1_000 }, (_, at) => clock.received(rtp(at * 40), 1_000 + at * 40));
  expect(times.every((time, at) => Math.abs(time - (times[0] ?? 0) - at * 40) < 1)).toBe(true);
});

it('follows the delay of the sound, and never goes back', () => {
  const clock = new PictureClock();
  clock.delays = { audioMs: 200, videoMs: 12 };
  const times: number[] = [];
  for (let at = 0; at < 20; at += 1) {
    if (at === 10) clock.delays = { audioMs: 40, videoMs: 12 };
    times.push(clock.received(rtp(at * 40), 1_000 + at * 40));
  }
  expect(times.every((time, at) => at === 0 || time > (times[at - 1] ?? 0))).toBe(true);
  expect(times.at(-1)).toBeCloseTo(1_000 + 19 * 40 + 40 + 26, 0);
});

it('begins anew with another source', () => {
  const clock = new PictureClock();
  clock.delays = { audioMs: 0, videoMs: 0 };
  clock.received(rtp(0), 1_000, 1);
  expect(clock.received(5, 2_000, 2)).toBe(2_026);
});
