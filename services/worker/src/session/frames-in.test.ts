import { frameFields, type InboundFrame } from '@tavus-fleet/contracts';
import { expect, test } from 'vitest';
import { FramesIn, type Entry } from './frames-in.ts';

const audio = (ms: number, fill = 1): InboundFrame => ({
  type: 'tts-audio',
  rate: 24_000,
  channels: 1,
  audio: new Uint8Array(ms * 48).fill(fill),
});

function entry(id: number, frame: InboundFrame): Entry {
  const list = frameFields(frame);
  const fields = new Map<string, Uint8Array>();
  for (let at = 0; at < list.length; at += 2) {
    const value = list[at + 1] ?? '';
    fields.set(String(list[at]), typeof value === 'string' ? new TextEncoder().encode(value) : value);
  }
  return { id: `${id}-0`, fields };
}

function setup(stored: Entry[] = []) {
  const world = {
    buffered: 0,
    given: [] as string[],
    ended: [] as string[],
    malformed: [] as string[],
    dropped: [] as { count: number; ms: number; why: string }[],
  };
  const reads: (readonly string[])[] = [];
  const framesIn = new FramesIn(
    {
      bufferedMs: () => world.buffered,
      frame: (frame) => world.given.push(`${frame.type}@${frame.position}`),
      end: (verb, reason) => world.ended.push(`${verb}:${reason ?? ''}`),
      malformed: (what) => world.malformed.push(what.field),
      dropped: (count, ms, why) => world.dropped.push({ count, ms, why }),
    },
    {
      read: (ids) => {
        reads.push(ids);
        return Promise.resolve(stored.filter((one) => ids.includes(one.id)));
      },
    },
  );
  return { framesIn, world, reads };
}

test('live speech passes straight through, in order', () => {
  const { framesIn, world } = setup();
  framesIn.entries([entry(1, { type: 'tts-started' }), entry(2, audio(20)), entry(3, { type: 'tts-stopped' })]);
  expect(world.given).toEqual(['tts-started@1-0', 'tts-audio@2-0', 'tts-stopped@3-0']);
});

test('what is ahead waits until the service has played, then goes on where it stopped', () => {
  const { framesIn, world } = setup();
  world.buffered = 6_000;
  framesIn.entries([entry(1, audio(20)), entry(2, audio(20))]);
  expect(world.given).toEqual([]);
  world.buffered = 0;
  framesIn.pump();
  expect(world.given).toEqual(['tts-audio@1-0', 'tts-audio@2-0']);
});

test('an interruption overtakes what waits and drops it, but keeps settings and end', () => {
  const { framesIn, world } = setup();
  world.buffered = 6_000;
  framesIn.entries([
    entry(1, audio(20)),
    entry(2, { type: 'settings-update', settings: { model: 'm' } }),
    entry(3, audio(40)),
    entry(4, { type: 'end' }),
    entry(5, { type: 'interruption' }),
  ]);
  expect(world.given).toEqual(['interruption@5-0']);
  expect(world.dropped).toEqual([{ count: 2, ms: 60, why: 'interrupted' }]);
  expect(world.ended).toEqual([]);
  world.buffered = 0;
  framesIn.pump();
  expect(world.given).toEqual(['interruption@5-0', 'settings-update@2-0']);
  expect(world.ended).toEqual(['stop:']);
});

test('cancel is obeyed at once and nothing after it counts', () => {
  const { framesIn, world } = setup();
  world.buffered = 6_000;
  framesIn.entries([entry(1, audio(20)), entry(2, { type: 'cancel', reason: 'user left' }), entry(3, audio(20))]);
  expect(world.ended).toEqual(['cancel:user left']);
  world.buffered = 0;
  framesIn.pump();
  expect(world.given).toEqual([]);
  expect(world.dropped.at(-1)).toEqual({ count: 1, ms: 0, why: 'after-end' });
});

test('end keeps its place behind the audio; with nothing before it, it is obeyed even before the conversation is live', () => {
  const behind = setup();
  behind.world.buffered = Number.POSITIVE_INFINITY;
  behind.framesIn.entries([entry(1, audio(20)), entry(2, { type: 'end' })]);
  expect(behind.world.ended).toEqual([]);
  behind.world.buffered = 0;
  behind.framesIn.pump();
  expect(behind.world).toMatchObject({ given: ['tts-audio@1-0'], ended: ['stop:'] });

  const alone = setup();
  alone.world.buffered = Number.POSITIVE_INFINITY;
  alone.framesIn.entries([entry(1, { type: 'end', reason: 'done' })]);
  expect(alone.world.ended).toEqual(['stop:done']);
});

test('beyond 15 s only ids are kept: audio is read again in its turn, and what was trimmed meanwhile is reported', async () => {
  const all = Array.from({ length: 40 }, (_, at) => entry(at + 1, audio(500)));
  const { framesIn, world, reads } = setup(all.filter((one) => one.id !== '35-0'));
  world.buffered = 6_000;
  framesIn.entries(all);
  world.buffered = 0;
  framesIn.pump();
  expect(world.given).toHaveLength(30);
  await expect.poll(() => world.given.length).toBe(39);
  expect(reads.flat()).toContain('35-0');
  expect(world.given.at(-1)).toBe('tts-audio@40-0');
  expect(world.dropped).toEqual([{ count: 1, ms: 500, why: 'trimmed' }]);
});

test('an interruption while audio is being read again leaves nothing of it behind', async () => {
  const all = Array.from({ length: 40 }, (_, at) => entry(at + 1, audio(500)));
  const { framesIn, world } = setup(all);
  world.buffered = 6_000;
  framesIn.entries(all);
  world.buffered = 0;
  framesIn.pump();
  framesIn.entries([entry(41, { type: 'interruption' }), entry(42, audio(20, 7))]);
  await expect.poll(() => world.given.at(-1)).toBe('tts-audio@42-0');
  expect(world.given).toHaveLength(32);
  expect(world.dropped).toEqual([{ count: 10, ms: 5_000, why: 'interrupted' }]);
});

test('a malformed entry is reported by its field and skipped', () => {
  const { framesIn, world } = setup();
  framesIn.entries([
    {
      id: '1-0',
      fields: new Map([
        ['type', new TextEncoder().encode('tts-audio')],
        ['rate', new TextEncoder().encode('7')],
        ['audio', new Uint8Array(4)],
      ]),
    },
    entry(2, audio(20)),
  ]);
  expect(world.malformed).toEqual(['rate']);
  expect(world.given).toEqual(['tts-audio@2-0']);
});

test('endAtTail ends once, behind what waits', () => {
  const { framesIn, world } = setup();
  world.buffered = 6_000;
  framesIn.entries([entry(1, audio(20))]);
  framesIn.endAtTail('drained');
  framesIn.endAtTail('drained');
  world.buffered = 0;
  framesIn.pump();
  expect(world).toMatchObject({ given: ['tts-audio@1-0'], ended: ['stop:drained'] });
});
