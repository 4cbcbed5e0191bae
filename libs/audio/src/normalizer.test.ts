import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Chunker, chunkBytes } from './chunker.ts';
import { UtteranceNormalizer, type RawAudio } from './normalizer.ts';
import { bytesOf, samplesOf } from './pcm.ts';

const RUNS = process.env['FULL'] ? 5000 : 200;
const PROPERTY_MS = 300_000; // for FULL; 200 runs take half a second
const ramp = (samples: number): Int16Array =>
  Int16Array.from({ length: samples }, (_, i) => ((i * 37) % 20_000) - 10_000);

/** Cuts bytes at the given places, in order. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [...places].map((place) => Math.floor(place * bytes.byteLength)).toSorted((a, b) => a - b);
  return [...sorted, bytes.byteLength].map((end, i) => bytes.slice(sorted[i - 1] ?? 0, end));
}

function through(normalizer: UtteranceNormalizer, frames: readonly RawAudio[]): Int16Array {
  const parts = [...frames.map((frame) => normalizer.push(frame).slice()), normalizer.end()];
  return samplesOf(Uint8Array.from(parts.flatMap((part) => [...part])));
}

const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });
const format = fc.record({
  rate: fc.oneof(fc.constantFrom(8000, 16_000, 22_050, 24_000, 44_100, 48_000), fc.integer({ min: 8000, max: 48_000 })),
  channels: fc.constantFrom(1, 2),
});

describe('UtteranceNormalizer', () => {
  it(
    'loses and doubles nothing, whatever the rate and wherever it is cut, odd places included',
    () => {
      fc.assert(
        fc.property(format, fc.integer({ min: 1, max: 4000 }), places, ({ rate, channels }, length, where) => {
          const bytes = bytesOf(ramp(length * channels));
          const whole = through(new UtteranceNormalizer(24_000), [{ rate, channels, audio: bytes }]);
          const pieces = cut(bytes, where).map((audio) => ({ rate, channels, audio }));
          expect(through(new UtteranceNormalizer(24_000), pieces)).toEqual(whole);
          expect(Math.abs(whole.length - (length * 24_000) / rate)).toBeLessThanOrEqual(1);
        }),
        { numRuns: RUNS },
      );
    },
    PROPERTY_MS,
  );

  it(
    'keeps every part of an utterance whose format changes in the middle',
    () => {
      fc.assert(
        fc.property(
          fc.array(fc.record({ format, length: fc.integer({ min: 1, max: 800 }) }), { minLength: 1, maxLength: 5 }),
          (parts) => {
            const frames = parts.map((part) => ({
              ...part.format,
              audio: bytesOf(ramp(part.length * part.format.channels)),
            }));
            const expected = parts.reduce((sum, part) => sum + (part.length * 24_000) / part.format.rate, 0);
            expect(Math.abs(through(new UtteranceNormalizer(24_000), frames).length - expected)).toBeLessThanOrEqual(
              parts.length,
            );
          },
        ),
        { numRuns: RUNS },
      );
    },
    PROPERTY_MS,
  );

  it.each(['end', 'reset'] as const)(
    'lets nothing of an utterance into the next after %s',
    (how) => {
      fc.assert(
        fc.property(format, format, fc.integer({ min: 1, max: 3001 }), (first, second, oddBytes) => {
          const normalizer = new UtteranceNormalizer(24_000);
          normalizer.push({ ...first, audio: new Uint8Array(oddBytes).fill(77) });
          normalizer[how]();
          const frame = { ...second, audio: bytesOf(ramp(600 * second.channels)) };
          expect(through(normalizer, [frame])).toEqual(through(new UtteranceNormalizer(24_000), [frame]));
        }),
        { numRuns: RUNS },
      );
    },
    PROPERTY_MS,
  );

  it('passes 24 kHz mono untouched', () => {
    const audio = bytesOf(ramp(960));
    expect(new UtteranceNormalizer(24_000).push({ rate: 24_000, channels: 1, audio })).toEqual(audio);
  });

  it('averages stereo without overflow', () => {
    const audio = bytesOf(Int16Array.of(32_767, 32_767, -32_768, -32_768, 100, -100, 3, 0));
    expect(samplesOf(new UtteranceNormalizer(24_000).push({ rate: 24_000, channels: 2, audio }))).toEqual(
      Int16Array.of(32_767, -32_768, 0, 1),
    );
  });
});

/** The stream-mode vectors of Pipecat's chunking; where ours differs on purpose, the test says so. */
describe('40 ms chunks at 24 kHz', () => {
  const frame = (ms: number): Uint8Array => new Uint8Array(ms * 48).fill(1);
  const play = (frames: readonly Uint8Array[]): { counts: number[]; left: number[] } => {
    const chunker = new Chunker(chunkBytes(24_000));
    const left: number[] = [];
    const counts = frames.map((bytes) => {
      const count = chunker.push(bytes).length;
      left.push(chunker.heldBytes);
      return count;
    });
    return { counts, left };
  };

  it.each([
    { id: 'S1', ms: [20, 20, 20], counts: [0, 1, 0], left: 960 },
    { id: 'S2', ms: [20, 20, 20, 20, 20], counts: [0, 1, 0, 1, 0], left: 960 },
    { id: 'S3', ms: [100], counts: [2], left: 960 },
    { id: 'S4', ms: [1000], counts: [25], left: 0 },
    { id: 'S5', ms: [39], counts: [0], left: 1872 },
    { id: 'S6', ms: [32, 32, 32, 32, 32], counts: [0, 1, 1, 1, 1], left: 0 },
    { id: 'S7', ms: [10], counts: [0], left: 480 },
  ])('$id', ({ ms, counts, left }) => {
    const played = play(ms.map(frame));
    expect(played.counts).toEqual(counts);
    expect(played.left.at(-1)).toBe(left);
  });

  it('S8: the end of an utterance fills its last chunk with silence (Pipecat holds it)', () => {
    const chunker = new Chunker(1920);
    chunker.push(frame(60));
    const last = chunker.end();
    expect(last?.byteLength).toBe(1920);
    expect(last?.subarray(0, 960)).toEqual(frame(20));
    expect(last?.subarray(960)).toEqual(new Uint8Array(960));
    expect(chunker.end()).toBeUndefined();
  });

  it('S9: two utterances never share a chunk (in Pipecat they do)', () => {
    const chunker = new Chunker(1920);
    const first = [...chunker.push(frame(60)), chunker.end()];
    const second = [...chunker.push(frame(60).fill(2)), chunker.end()];
    expect(first.length).toBe(2);
    expect(second.map((chunk) => new Set(chunk))).toEqual([new Set([2]), new Set([2, 0])]);
  });

  it('S10, S11: an interruption drops what waits for its chunk (Pipecat plays it later)', () => {
    const chunker = new Chunker(1920);
    chunker.push(frame(60));
    chunker.reset();
    expect(chunker.push(frame(20))).toEqual([]);
    expect(chunker.heldBytes).toBe(960);
  });

  it('S12: frames of odd length stay aligned to samples (in Pipecat they become noise)', () => {
    const normalizer = new UtteranceNormalizer(24_000);
    const source = bytesOf(ramp(1922));
    const frames = [0, 1, 2, 3].map((i) => ({
      rate: 24_000,
      channels: 1,
      audio: source.slice(i * 961, (i + 1) * 961),
    }));
    expect(through(normalizer, frames)).toEqual(ramp(1922));
  });

  it.each([
    { id: 'S13', rate: 16_000 },
    { id: 'S14', rate: 44_100 },
  ])('$id: twelve frames of 20 ms at $rate Hz make 240 ms', ({ rate }) => {
    const frames = Array.from({ length: 12 }, () => ({ rate, channels: 1, audio: bytesOf(ramp(rate / 50)) }));
    expect(Math.abs(through(new UtteranceNormalizer(24_000), frames).length - 5760)).toBeLessThanOrEqual(1);
  });

  it('S15: a pause inside an utterance loses nothing (Pipecat drops what its resampler holds after 200 ms)', () => {
    const frame16 = { rate: 16_000, channels: 1, audio: bytesOf(ramp(3200)) };
    expect(through(new UtteranceNormalizer(24_000), [frame16, frame16]).length).toBe(9600); // time plays no part in it
  });

  it('S16: three rates in one utterance are fine (in Pipecat the third raises)', () => {
    const frames = [24_000, 16_000, 48_000].map((rate) => ({ rate, channels: 1, audio: bytesOf(ramp(rate / 10)) }));
    expect(through(new UtteranceNormalizer(24_000), frames).length).toBe(7200);
  });

  it('S17: chunk sizes of other rates', () => {
    expect([8000, 16_000, 22_050, 24_000, 44_100, 48_000].map((rate) => chunkBytes(rate))).toEqual([
      640, 1280, 1764, 1920, 3528, 3840,
    ]);
  });
});
