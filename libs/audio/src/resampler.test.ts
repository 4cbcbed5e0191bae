import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joinSamples } from './pcm.ts';
import { createResampler } from './resampler.ts';
import { SpeexStream } from './speex.ts';

const RUNS = process.env['FULL'] ? 5000 : 200;
const PROPERTY_MS = 300_000; // for FULL; 200 runs take half a second
const AMPLITUDE = 32_767 * 10 ** (-1 / 20);
const pairs = [
  { from: 16_000, to: 24_000 },
  { from: 24_000, to: 16_000 },
  { from: 44_100, to: 24_000 },
  { from: 48_000, to: 24_000 },
  { from: 22_050, to: 24_000 },
  { from: 8_000, to: 24_000 },
];

function sine(hz: number, rate: number, samples: number): Float32Array {
  return Float32Array.from({ length: samples }, (_, i) => AMPLITUDE * Math.sin((2 * Math.PI * hz * i) / rate));
}

/** dB between the tone and all else, and the tone's gain: least squares over the middle, away from the edges. */
function quality(heard: ArrayLike<number>, hz: number, rate: number): { snrDb: number; gainDb: number; phase: number } {
  const w = (2 * Math.PI * hz) / rate;
  const sum = { cc: 0, ss: 0, cs: 0, yc: 0, ys: 0 };
  const from = Math.floor(heard.length * 0.2);
  const until = Math.floor(heard.length * 0.8);
  for (let i = from; i < until; i += 1) {
    const c = Math.cos(w * i);
    const s = Math.sin(w * i);
    sum.cc += c * c;
    sum.ss += s * s;
    sum.cs += c * s;
    sum.yc += (heard[i] ?? 0) * c;
    sum.ys += (heard[i] ?? 0) * s;
  }
  const det = sum.cc * sum.ss - sum.cs ** 2;
  const a = (sum.yc * sum.ss - sum.ys * sum.cs) / det;
  const b = (sum.ys * sum.cc - sum.yc * sum.cs) / det;
  let tone = 0;
  let rest = 0;
  for (let i = from; i < until; i += 1) {
    const model = a * Math.cos(w * i) + b * Math.sin(w * i);
    tone += model ** 2;
    rest += ((heard[i] ?? 0) - model) ** 2;
  }
  return {
    snrDb: 10 * Math.log10(tone / rest),
    gainDb: 20 * Math.log10(Math.hypot(a, b) / AMPLITUDE),
    phase: Math.atan2(a, b),
  };
}

/** A cut utterance: lengths of its pieces in samples. */
const cuts = fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 12 });

function noise(length: number): Int16Array {
  let state = 12_345;
  return Int16Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
    return state >> 18;
  });
}

function run(
  pieces: readonly number[],
  from: number,
  to: number,
  source = noise(pieces.reduce((a, b) => a + b, 0)),
): Int16Array {
  const resampler = createResampler(from, to);
  let at = 0;
  const parts = pieces.map((length) => resampler.process(source.subarray(at, (at += length))).slice());
  return joinSamples([...parts, resampler.flush()]);
}

describe.each(pairs)('$from → $to Hz', ({ from, to }) => {
  const tones = [100, 440, 1000, 2500, 3400, 5000, 7000].filter((hz) => hz < from * 0.44 && hz < to * 0.44);

  it.each(tones)('keeps a tone of %i Hz clean, loud and in time', (hz) => {
    const source = sine(hz, from, from);
    const float = quality(new SpeexStream(from, to).process(source), hz, to);
    expect(float.snrDb).toBeGreaterThan(97);
    expect(Math.abs(float.gainDb)).toBeLessThan(0.05);
    const integer = quality(run([from], from, to, Int16Array.from(source, Math.round)), hz, to);
    expect(integer.snrDb).toBeGreaterThan(92);
    expect(Math.abs(integer.phase) / (2 * Math.PI * hz)).toBeLessThan(0.5 / to); // less than half a sample late
  });

  it(
    'neither loses nor adds, however it is cut',
    () => {
      fc.assert(
        fc.property(cuts, (pieces) => {
          const total = pieces.reduce((a, b) => a + b, 0);
          const whole = run([total], from, to);
          const cut = run(pieces, from, to);
          expect(Math.abs(cut.length - (total * to) / from)).toBeLessThanOrEqual(1);
          expect(cut).toEqual(whole);
        }),
        { numRuns: RUNS / 4 },
      );
    },
    PROPERTY_MS,
  );

  it.each(['flush', 'reset'] as const)('is as new after %s', (how) => {
    const resampler = createResampler(from, to);
    resampler.process(noise(from / 10));
    resampler[how]();
    expect(joinSamples([resampler.process(noise(1000)), resampler.flush()])).toEqual(run([1000], from, to));
  });
});

it('passes every sample untouched when the rates match', () => {
  const source = noise(5000);
  expect(run([1, 999, 4000], 24_000, 24_000, source)).toEqual(source);
});

it('suppresses what the lower rate cannot carry', () => {
  const heard = run([24_000], 24_000, 16_000, Int16Array.from(sine(9500, 24_000, 24_000), Math.round)).subarray(
    1000,
    -1000,
  );
  expect(Math.max(...heard.map(Math.abs))).toBeLessThan(AMPLITUDE * 10 ** (-70 / 20));
});

it('limits what overshoots between two samples', () => {
  const square = Int16Array.from({ length: 4000 }, (_, i) => (i % 80 < 40 ? 32_767 : -32_768));
  const heard = run([4000], 16_000, 24_000, square);
  let jumps = 0;
  for (let i = 1; i < heard.length; i += 1) if (Math.abs((heard[i] ?? 0) - (heard[i - 1] ?? 0)) > 60_000) jumps += 1;
  expect(Math.max(...heard)).toBe(32_767);
  expect(jumps).toBe(0); // a wrapped sample is a jump of full scale between neighbours
});

it('stays within its memory when thousands of utterances are abandoned by reset', () => {
  const resampler = createResampler(44_100, 24_000);
  for (let i = 0; i < 2000; i += 1) {
    resampler.process(noise(10));
    resampler.reset();
  }
  expect(joinSamples([resampler.process(noise(100)), resampler.flush()]).length).toBe(54);
});
