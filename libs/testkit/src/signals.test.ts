import { describe, expect, it } from 'vitest';
import { chirpWalk, continuity, correlate, seeded } from './signals.ts';

const RATE = 24_000;
const original = chirpWalk({ rate: RATE, ms: 4000, seed: 7 });
const at = (ms: number): number => Math.round((ms * RATE) / 1000);
const join = (...parts: Int16Array[]): Int16Array => Int16Array.from(parts.flatMap((part) => [...part]));
const silence = (ms: number): Int16Array => new Int16Array(at(ms));

function noisy(samples: Int16Array, gain: number, noise: number): Int16Array {
  const random = seeded(3);
  return samples.map((sample) => sample * gain + (random() - 0.5) * noise);
}

describe('chirpWalk', () => {
  it('is the same for a seed, another for another, and like itself nowhere else', () => {
    expect(chirpWalk({ rate: RATE, ms: 100, seed: 7 })).toEqual(original.subarray(0, at(100)));
    const block = original.subarray(at(1000), at(1050));
    const elsewhere = original.slice();
    elsewhere.fill(0, at(960), at(1090));
    expect(correlate(block, elsewhere, block.length).correlation).toBeLessThan(0.7);
  });

  it('is the same sound at another rate', () => {
    const half = chirpWalk({ rate: 12_000, ms: 500, seed: 7 });
    expect(
      correlate(
        half,
        original.subarray(0, at(500)).filter((_, i) => i % 2 === 0),
      ).correlation,
    ).toBeGreaterThan(0.5);
  });
});

describe('correlate', () => {
  it.each([0, 1, 777, -777])('finds a lag of %i', (lag) => {
    const heard = lag >= 0 ? join(new Int16Array(lag), original) : original.slice(-lag);
    const match = correlate(original, noisy(heard, 0.3, 500));
    expect(match.lagSamples).toBe(lag);
    expect(match.correlation).toBeGreaterThan(0.97);
  });

  it('finds nothing in another sound or in none', () => {
    expect(correlate(original, chirpWalk({ rate: RATE, ms: 4000, seed: 8 })).correlation).toBeLessThan(0.2);
    expect(correlate(original, silence(1000)).correlation).toBe(0);
    expect(correlate(original, new Int16Array(0)).correlation).toBe(0);
  });
});

describe('continuity', () => {
  const look = (heard: Int16Array) => continuity(original, heard, { rate: RATE });

  it('has nothing to say of a faithful recording: later, softer, with noise and pauses', () => {
    const heard = noisy(
      join(silence(333), original.subarray(0, at(2000)), silence(500), original.subarray(at(2000)), silence(100)),
      0.4,
      100,
    );
    const seen = look(heard);
    expect(seen).toMatchObject({ gaps: [], duplicates: [] });
    expect(seen.poorShare).toBeLessThan(0.06);
    expect(seen.lagMs).toBeCloseTo(333, 0);
    expect(seen.correlation).toBeGreaterThan(0.99);
  });

  it('follows a clock that drifts', () => {
    const drifting = Int16Array.from({ length: original.length }, (_, i) => original[Math.round(i * 1.001)] ?? 0);
    const seen = look(drifting);
    expect(seen).toMatchObject({ gaps: [], duplicates: [] });
    expect(seen.poorShare).toBeLessThan(0.02); // its very last block runs out of the original
  });

  it('finds what is missing: inside, at the beginning, at the end', () => {
    const inside = look(join(original.subarray(0, at(1000)), original.subarray(at(1240))));
    expect(inside.gaps.map((gap) => Math.round(gap.ms))).toEqual([240]);
    expect(inside.gaps[0]?.atMs).toBeCloseTo(1000, -2);
    expect(look(original.subarray(at(500))).gaps.map((gap) => Math.round(gap.ms))).toEqual([450]); // less one block of the grid
    expect(look(original.subarray(0, at(3500))).gaps.map((gap) => Math.round(gap.ms))).toEqual([450]);
    expect(look(silence(4000)).gaps).toEqual([{ atMs: 0, ms: 4000 }]);
  });

  it('finds what was lost and concealed in its own time', () => {
    const concealed = original.map((sample, i) => (i > at(1000) && i < at(1400) ? 0 : sample));
    expect(look(original).longestMissingMs).toBeLessThan(1);
    expect(look(concealed)).toMatchObject({ gaps: [] });
    expect(look(concealed).longestMissingMs).toBeCloseTo(400, -2);
    expect(look(silence(4000)).longestMissingMs).toBe(4000);
  });

  it('looks only within reach when told to', () => {
    const heard = join(
      original.subarray(0, at(1000)),
      original.subarray(at(1240), at(2000)),
      original.subarray(at(3500)),
    );
    const { gaps } = continuity(original, heard, { rate: RATE, reachMs: 500 });
    expect(gaps.map((gap) => Math.round(gap.ms))).toEqual([240, 1960]); // what follows the far splice is out of reach
  });

  it('loses no track of it over a pause longer than its reach: the source stood still', () => {
    const heard = join(original.subarray(0, at(2013)), silence(2_000), original.subarray(at(2013)));
    const seen = continuity(original, heard, { rate: RATE, reachMs: 500 });
    expect(seen).toMatchObject({ gaps: [], duplicates: [] });
    expect(seen.poorShare).toBeLessThan(0.06);
  });

  it('finds what is doubled', () => {
    const { duplicates, gaps } = look(join(original.subarray(0, at(2000)), original.subarray(at(1700))));
    expect(duplicates.map((one) => Math.round(one.ms))).toEqual([300]);
    expect(gaps).toEqual([]);
  });

  it('finds what is mixed with something else', () => {
    const other = chirpWalk({ rate: RATE, ms: 4000, seed: 9 });
    const mixed = original.map((sample, i) => (i > at(1000) && i < at(3000) ? (sample + (other[i] ?? 0)) / 2 : sample));
    expect(look(mixed).poorShare).toBeGreaterThan(0.35);
  });
});
