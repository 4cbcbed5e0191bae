import { bytesOf, samplesOf } from '@tavus-fleet/audio';
import { correlate } from '@tavus-fleet/testkit/signals';
import { describe, expect, it } from 'vitest';
import { AskedRate, type TimedPcm } from './asked-rate.ts';

const STEP = 480;
/** A tone that glides, so that any shift shows. */
const chirp = (rate: number, ms: number): Int16Array =>
  Int16Array.from({ length: (rate * ms) / 1_000 }, (_, at) => {
    const t = at / rate;
    return Math.round(12_000 * Math.sin(2 * Math.PI * (300 * t + 400 * t * t)));
  });

function through(rate: number, samples: Int16Array, ptsOf: (block: number) => number): TimedPcm[] {
  const asked = new AskedRate(rate);
  const blocks: TimedPcm[] = [];
  for (let at = 0; at * STEP < samples.length; at += 1)
    blocks.push(...asked.push({ pcm: bytesOf(samples.subarray(at * STEP, (at + 1) * STEP)), pts: ptsOf(at) }));
  return blocks;
}

describe('AskedRate', () => {
  it('passes blocks at the rooms’ rate as they are', () => {
    const pcm = new Uint8Array(960).fill(5);
    const [block] = new AskedRate(24_000).push({ pcm, pts: 7 });
    expect(block?.pcm).toBe(pcm);
    expect(block?.pts).toBe(7);
  });

  it.each([8_000, 16_000, 44_100, 48_000])(
    'makes the same sound at %i Hz, in blocks of 20 ms, each at its time',
    (rate) => {
      const blocks = through(rate, chirp(24_000, 2_000), (at) => 1_000 + at * 20);
      expect(blocks.length).toBeGreaterThanOrEqual(98);
      expect(new Set(blocks.map(({ pcm }) => pcm.byteLength))).toEqual(new Set([(rate / 50) * 2]));
      expect(blocks.every(({ pts }, at) => Math.abs(pts - 1_000 - at * 20) < 0.01)).toBe(true);
      const heard = Int16Array.from(blocks.flatMap(({ pcm }) => [...samplesOf(pcm)]));
      const { correlation, lagSamples } = correlate(chirp(rate, 2_000), heard);
      expect(correlation).toBeGreaterThan(0.99);
      expect(Math.abs(lagSamples)).toBeLessThanOrEqual(1);
    },
  );

  it('follows the times of the source', () => {
    const blocks = through(16_000, chirp(24_000, 10_000), (at) => 1_000 + at * 20.01);
    const last = blocks.at(-1);
    expect(Math.abs((last?.pts ?? 0) - 1_000 - (blocks.length - 1) * 20.01)).toBeLessThan(0.1);
  });

  it('keeps two sounds apart: the rest of the first comes at its time, filled up with silence', () => {
    const blocks = through(16_000, chirp(24_000, 200), (at) => (at < 5 ? 1_000 : 5_000) + at * 20);
    const times = blocks.map(({ pts }) => Math.round(pts));
    expect(times.slice(0, 5)).toEqual([1_000, 1_020, 1_040, 1_060, 1_080]);
    expect(times[5]).toBe(5_100);
    expect(blocks.slice(0, 5).flatMap(({ pcm }) => [...samplesOf(pcm)])).toHaveLength(1_600);
  });
});
