// Any interleaving of speech, time and interruptions: what was said before an interruption is not heard after it, and what is
// said after the last one is heard whole.
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { audioWorld, interruption, stopped } from './fixtures/audio-world.ts';

const RUNS = process.env['FULL'] === '1' ? 10_000 : 1_000;

type Op =
  | { readonly do: 'say'; readonly ms: number; readonly ends: boolean }
  | { readonly do: 'interrupt' }
  | { readonly do: 'speak'; readonly on: boolean }
  | { readonly do: 'pass'; readonly ms: number };
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('say' as const), ms: fc.integer({ min: 1, max: 200 }), ends: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'interrupt' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('speak' as const), on: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 300 }) }) },
);

/** One utterance, every sample of which is its number. */
const utterance = (number: number, ms: number) => ({
  type: 'tts-audio' as const,
  rate: 24_000,
  channels: 1,
  audio: new Uint8Array(new Int16Array(ms * 24).fill(number).buffer),
});
const numbersIn = (pcm: Uint8Array): number[] => [...new Set(new Int16Array(pcm.slice().buffer))];

it.each(['stream', 'echo'] as const)('%s mode: no interleaving of interruptions leaves stale audio', async (mode) => {
  await fc.assert(
    fc.asyncProperty(fc.array(op, { maxLength: 24 }), async (ops) => {
      const world = await audioWorld(mode);
      /** What the room was given, in order: utterances' numbers, and 0 for each interruption. */
      const seen: number[] = [];
      world.room.onAudio = (pcm) => void seen.push(...numbersIn(pcm).filter((number) => number !== 0));
      world.room.onInterrupt = () => void seen.push(0);
      let number = 0;
      const asked: number[] = [];
      for (const one of ops) {
        if (one.do === 'pass') await world.clock.pass(one.ms);
        else if (one.do === 'speak') world.avatarSpeaks(one.on);
        else if (one.do === 'interrupt') {
          asked.push(number);
          world.feed(interruption);
        } else {
          number += 1;
          world.feed({ type: 'tts-started' }, utterance(number, one.ms), ...(one.ends ? [stopped] : []));
        }
      }
      await world.clock.pass(20_000);
      // The room saw one interruption for each that was asked for, in order; behind the last of them nothing older comes.
      expect(seen.filter((one) => one === 0)).toHaveLength(asked.length);
      const stale = seen.filter((one, at) => {
        const before = seen.slice(0, at).filter((other) => other === 0).length;
        return one !== 0 && before > 0 && one <= (asked[before - 1] ?? 0);
      });
      expect(stale).toEqual([]);
      const last = asked.at(-1) ?? 0;
      for (let expected = last + 1; expected <= number; expected += 1) expect(seen).toContain(expected);
      expect(await world.end()).toEqual({ timersLeft: 0, errors: [] });
    }),
    { numRuns: RUNS },
  );
});
