/* oxlint-disable vitest/no-conditional-expect, no-unmodified-loop-condition -- the target below is the probe: it runs for every frame given */
import { frameFields, type InboundFrame } from '@tavus-fleet/contracts';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { FramesIn, type Entry } from './frames-in.ts';

const big = 100_000; // some of these are over what is kept in memory, so payload is let go and read again

type Step = { do: 'send'; frame: InboundFrame } | { do: 'play'; ms: number } | { do: 'answer'; trimmed: boolean };
const frame = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom(960, big, big * 3)
      .map((size): InboundFrame => ({ type: 'tts-audio', rate: 24_000, channels: 1, audio: new Uint8Array(size) })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<InboundFrame>(
      { type: 'tts-started' },
      { type: 'tts-stopped' },
      { type: 'message', message: 1 },
      { type: 'settings-update', settings: {} },
    ),
  },
  { weight: 1, arbitrary: fc.constant<InboundFrame>({ type: 'interruption' }) },
);
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: frame.map((each): Step => ({ do: 'send', frame: each })) },
    { weight: 2, arbitrary: fc.integer({ min: 100, max: 10_000 }).map((ms): Step => ({ do: 'play', ms })) },
    { weight: 2, arbitrary: fc.boolean().map((trimmed): Step => ({ do: 'answer', trimmed })) },
  ),
  { maxLength: 60 },
);

const entryOf = (n: number, each: InboundFrame): Entry => {
  const fields = frameFields(each);
  const bytes = (field: string | Uint8Array | undefined): Uint8Array =>
    typeof field === 'string' ? new TextEncoder().encode(field) : (field ?? new Uint8Array());
  return {
    id: `${n}-0`,
    fields: new Map(
      Array.from({ length: fields.length / 2 }, (_, i) => [String(fields[2 * i]), bytes(fields[2 * i + 1])]),
    ),
  };
};

test('whatever the interleaving: order kept, nothing overtaken is given, everything else is given or counted, the end comes last', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      let bufferedMs = 0;
      let droppedCount = 0;
      let ends = 0;
      let interruptedAt = 0;
      const given: number[] = [];
      const sent: { id: number; frame: InboundFrame }[] = [];
      const stream = new Map<string, Entry>();
      const reads: ((answer: readonly Entry[]) => void)[] = [];
      const asked: (readonly string[])[] = [];
      const framesIn = new FramesIn(
        {
          bufferedMs: () => bufferedMs,
          frame: (each) => {
            expect(ends).toBe(0);
            const id = Number.parseInt(each.position, 10);
            if (each.type === 'interruption') {
              interruptedAt = id;
              return;
            }
            if (each.type !== 'settings-update') expect(id).toBeGreaterThan(interruptedAt);
            expect(id).toBeGreaterThan(given.at(-1) ?? 0);
            given.push(id);
            if (each.type === 'tts-audio') bufferedMs += each.audio.byteLength / 48;
            framesIn.pump(); // who plays a frame at once says so at once
          },
          end: () => (ends += 1),
          dropped: (count) => (droppedCount += count),
          malformed: () => expect.unreachable(),
        },
        {
          read: (ids) => {
            asked.push(ids);
            return new Promise((resolve) => reads.push(resolve));
          },
        },
      );
      const answer = async (trimmed: boolean): Promise<void> => {
        const ids = asked.shift();
        reads.shift()?.(trimmed ? [] : (ids ?? []).flatMap((id) => stream.get(id) ?? []));
        await Promise.resolve();
        await Promise.resolve();
        await Promise.resolve();
      };
      for (const step of all) {
        if (step.do === 'send') {
          const id = sent.length + 1;
          sent.push({ id, frame: step.frame });
          const entry = entryOf(id, step.frame);
          stream.set(entry.id, entry);
          framesIn.entries([entry]);
        } else if (step.do === 'play') {
          bufferedMs = Math.max(0, bufferedMs - step.ms);
          framesIn.pump();
        } else {
          await answer(step.trimmed);
        }
      }
      framesIn.endAtTail(undefined);
      for (let i = 0; i < 400 && ends === 0; i += 1) {
        bufferedMs = 0;
        framesIn.pump();
        await answer(false);
      }
      expect(ends).toBe(1);
      const ordinary = sent.filter((each) => each.frame.type !== 'interruption');
      expect(given.length + droppedCount).toBe(ordinary.length);
      for (const each of ordinary) if (each.frame.type === 'settings-update') expect(given).toContain(each.id);
      framesIn.entries([entryOf(sent.length + 1, { type: 'tts-started' })]);
      expect(droppedCount + given.length).toBe(ordinary.length + 1);
    }),
    { numRuns: 150 },
  );
});
