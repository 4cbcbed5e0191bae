import { bytesOf, downmix, samplesOf } from '@tavus-fleet/audio';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { audioWorld, frame, joined, ParityChunks, pcm, stopped } from './fixtures/audio-world.ts';

const RUNS = process.env['FULL'] === '1' ? 10_000 : 1_000;
const PROPERTY_MS = 600_000; // for FULL; 1000 runs take a few seconds

/** Where to cut, as parts of the whole, so that a shrunk utterance keeps its cuts. */
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 10 });
const seed = fc.integer({ min: 1, max: 1_000_000 });
const MAX_MS = 300;

/** Cuts bytes at any byte, odd ones included; a frame has at least one. */
function cut(bytes: Uint8Array<ArrayBuffer>, where: readonly number[]): Uint8Array<ArrayBuffer>[] {
  const places = new Set(where.map((part) => Math.floor(part * bytes.byteLength)));
  const ends = [...places.add(bytes.byteLength)].filter((place) => place > 0).toSorted((a, b) => a - b);
  return ends.map((end, i) => bytes.slice(ends[i - 1] ?? 0, end));
}

const utterance = fc
  .record({
    rate: fc.oneof(
      fc.constantFrom(8_000, 16_000, 22_050, 24_000, 44_100, 48_000),
      fc.integer({ min: 8_000, max: 48_000 }),
    ),
    channels: fc.constantFrom(1, 2),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
    seed,
  })
  .map(({ rate, channels, part, seed }) => {
    const length = 1 + Math.floor((part * rate * MAX_MS) / 1000);
    return { rate, channels, length, audio: pcm(length * channels * 2, seed) };
  });

it(
  'any cut of any utterance at any rate, mono or stereo, gives the samples of the utterance in one piece',
  async () => {
    await fc.assert(
      fc.asyncProperty(utterance, cuts, async ({ rate, channels, length, audio }, where) => {
        const pieces = cut(audio, where).map((piece) => frame(piece, rate, channels));
        const world = await audioWorld('stream');
        world.feed(frame(audio, rate, channels), stopped);
        const whole = world.room.written;
        world.feed(...pieces, stopped);
        const inPieces = world.room.written.slice(whole.byteLength);
        expect(Buffer.compare(inPieces, whole)).toBe(0);
        expect(Math.abs(whole.byteLength / 2 - (length * 24_000) / rate)).toBeLessThanOrEqual(1);
        // At our own rate there is nothing to compute: every sample is the one that was sent.
        const mono = bytesOf(channels === 1 ? samplesOf(audio) : downmix(samplesOf(audio)));
        expect(Buffer.compare(rate === 24_000 ? mono : whole, whole)).toBe(0);

        const chunks = new ParityChunks();
        for (const piece of pieces) chunks.push(piece);
        chunks.stopped();
        const chunked = joined(chunks.chunks);
        expect(chunks.chunks.every((chunk) => chunk.byteLength === 1920)).toBe(true);
        expect(chunks.chunks).toHaveLength(Math.ceil(whole.byteLength / 1920));
        expect(Buffer.compare(chunked.subarray(0, whole.byteLength), whole)).toBe(0);
        expect(chunked.subarray(whole.byteLength).every((byte) => byte === 0)).toBe(true);
        expect(await world.end()).toEqual({ timersLeft: 0, errors: [] });
      }),
      { numRuns: RUNS },
    );
  },
  PROPERTY_MS,
);

const speech = fc
  .record({ samples: fc.integer({ min: 1, max: 24 * MAX_MS }), seed, where: cuts })
  .map(({ samples, seed, where }) => ({ audio: pcm(samples * 2, seed), where }));

it(
  'every echo message fits any limit of the room, and those of one id are exactly one utterance',
  async () => {
    const limits = fc.oneof(fc.integer({ min: 1_000, max: 5_000 }), fc.integer({ min: 1_000, max: 65_536 }));
    const ids = fc.string({ unit: fc.constantFrom('0', '7', 'a', 'c', 'f'), minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(
        limits,
        ids,
        fc.array(speech, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        async (limit, conversationId, spoken, liveFeed) => {
          const world = await audioWorld('echo', { maxMessageLength: limit, conversationId });
          for (const { audio, where } of spoken) {
            for (const piece of cut(audio, where)) {
              world.feed(frame(piece));
              if (liveFeed) await world.clock.pass(0); // else all waits at once and is put together
            }
            world.feed(stopped);
          }
          await world.clock.pass(0);
          const echoes = world.echoes();
          expect(Math.max(...echoes.map((echo) => echo.jsonLength))).toBeLessThanOrEqual(limit);
          expect(world.of('error')).toEqual([]);
          expect(echoes.filter((echo) => echo.done && echo.audio.some((byte) => byte !== 0))).toEqual([]);

          const byId = Map.groupBy(echoes, (echo) => echo.id);
          expect(byId.size).toBe(spoken.length);
          for (const [i, mine] of [...byId.values()].entries()) {
            expect(mine.map((echo) => echo.done)).toEqual(mine.map((_, at) => at === mine.length - 1));
            const heard = joined(mine.filter((echo) => !echo.done).map((echo) => echo.audio));
            expect(Buffer.compare(heard, spoken[i]?.audio ?? new Uint8Array(0))).toBe(0);
          }
          expect(await world.end()).toEqual({ timersLeft: 0, errors: [] });
        },
      ),
      { numRuns: RUNS },
    );
  },
  PROPERTY_MS,
);
