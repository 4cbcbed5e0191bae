import { FakeClock } from '@tavus-fleet/lifecycle';
import { FakeRoom, type Participant } from '@tavus-fleet/rooms';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { findReplica } from './replica.ts';
import type { FrameOut } from './frames.ts';
import { TavusVideoService } from './service.ts';
import { TavusVideoSettings } from './settings.ts';

const never = new AbortController().signal;
const audio = { type: 'tts-audio', rate: 24_000, channels: 1, audio: new Uint8Array(4_800) } as const;

function setup(options: { createMs?: number; mode?: 'stream' | 'echo' } = {}) {
  const clock = new FakeClock();
  const room = new FakeRoom({ conversationId: 'c', epoch: 1 }, clock);
  room.participants = [{ id: 'r', userId: 'tavus-replica-x', local: false, tracks: {} }];
  const said: FrameOut[] = [];
  const calls = { created: 0, ended: 0 };
  const service = new TavusVideoService({
    room,
    clock,
    mode: options.mode ?? 'stream',
    sink: { push: (frame) => void said.push(frame), played: () => undefined },
    api: {
      create: () =>
        new Promise((resolve) =>
          clock.after(
            options.createMs ?? 0,
            () => (calls.created++, resolve({ conversationId: 't', conversationUrl: 'https://x.daily.co/t' })),
          ),
        ),
      end: async () => void (calls.ended += 1),
      personaName: async () => 'persona',
    },
  });
  const live = async (): Promise<void> => {
    const starting = service.setup(never).then(() => service.start(never));
    await clock.pass(1);
    room.emit({ type: 'video-arrived' });
    await starting;
  };
  return { clock, room, service, said, calls, live };
}

type Step = 'setup' | 'start' | 'stop' | 'cancel' | 'cleanup' | 'abandon' | 'frame' | 'interrupt' | 'picture' | 'pass';
const step = fc.constantFrom<Step>(
  'setup',
  'setup',
  'start',
  'start',
  'stop',
  'cancel',
  'cleanup',
  'frame',
  'interrupt',
  'picture',
  'pass',
);

test('in any order, as often as you like: at most one join, one leave and one end; nothing is left', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 14 }),
      fc.constantFrom<'stream' | 'echo'>('stream', 'echo'),
      async (steps, mode) => {
        const { clock, room, service, calls } = setup({ createMs: 30, mode });
        const work: Promise<unknown>[] = [];
        for (const each of steps) {
          if (each === 'frame') service.processFrame(audio);
          else if (each === 'interrupt') service.processFrame({ type: 'interruption' });
          else if (each === 'picture') room.emit({ type: 'video-arrived' });
          else if (each === 'pass') await clock.pass(20);
          else work.push((each === 'abandon' ? service.abandon() : service[each](never)).catch(() => undefined)); // a refusal is an answer too
        }
        work.push(service.cleanup(never), service.cleanup(never));
        const all = Promise.all(work);
        await clock.pass(60_000);
        await all;
        const count = (name: string): number => room.order.filter((call) => call === name).length;
        expect([count('join') <= 1, count('leave')]).toEqual([true, 1]);
        expect(calls.ended).toBe(calls.created);
        expect(calls.created).toBeLessThanOrEqual(1);
        service.processFrame(audio);
        service.processFrame({ type: 'interruption' });
        await clock.pass(10_000);
        expect(room.order.at(-1)).toBe('leave');
        expect(clock.pending).toBe(0);
        expect(room.listenerErrors).toEqual([]);
      },
    ),
    { numRuns: 200 },
  );
});

test('received audio says who speaks until Tavus does; then Tavus’ word counts, also for the time to first byte', async () => {
  const { clock, room, service, said, live } = setup();
  await live();
  const tavus = (what: string): void =>
    room.emit({
      type: 'message',
      room: 'tavus',
      fromId: 'r',
      data: { message_type: 'conversation', event_type: `conversation.replica.${what}_speaking`, conversation_id: 't' },
    });
  const heard = (speaking: boolean): void => room.emit({ type: 'speech', speaking, at: clock.now() });
  const spoken = () =>
    said
      .filter((frame) => frame.type.startsWith('bot-') || frame.type === 'metrics')
      .map((frame) =>
        frame.type === 'metrics'
          ? `ttfb ${frame.data.ttfbMs}`
          : `${frame.type} ${'source' in frame ? frame.source : ''}`,
      );
  service.processFrame({ type: 'tts-started' });
  await clock.pass(300);
  heard(true);
  heard(false);
  service.processFrame({ type: 'tts-started' });
  await clock.pass(200);
  tavus('started');
  heard(true);
  heard(false); // codec noise says nothing any more
  await clock.pass(2_000);
  service.processFrame({ type: 'tts-started' });
  await clock.pass(250);
  tavus('started'); // the stop before it was lost
  tavus('stopped');
  expect(spoken()).toEqual([
    'bot-started-speaking audio',
    'ttfb 300',
    'bot-stopped-speaking audio',
    'bot-started-speaking tavus',
    'ttfb 200',
    'ttfb 250',
    'bot-stopped-speaking tavus',
  ]);
  expect(said.filter((frame) => frame.type === 'message')).toHaveLength(3);
  await service.cleanup(never);
  expect(clock.pending).toBe(0);
});

test('an interruption abandons the measurement; a replica that leaves is silent', async () => {
  const { clock, room, service, said, live } = setup();
  await live();
  service.processFrame({ type: 'tts-started' });
  service.processFrame({ type: 'interruption' });
  await clock.pass(1_000);
  room.emit({ type: 'speech', speaking: true, at: clock.now() });
  room.emit({ type: 'participant-left', room: 'tavus', participant: { id: 'r', local: false, tracks: {} } });
  expect(said.filter((frame) => frame.type === 'metrics')).toEqual([]);
  expect(said.map((frame) => frame.type).slice(-3)).toEqual([
    'bot-started-speaking',
    'replica-left',
    'bot-stopped-speaking',
  ]);
  await service.cleanup(never);
});

const someone = (id: string, more: Partial<Participant> = {}): Participant => ({
  id,
  local: false,
  tracks: {},
  ...more,
});
test.each<{ who: string; there: Participant[]; is: string | undefined }>([
  { who: 'nobody', there: [], is: undefined },
  { who: 'a human first', there: [someone('h'), someone('r', { userId: 'tavus-replica-1' })], is: 'r' },
  { who: 'the newer id', there: [someone('r', { userId: 'x-TAVUS-face-1' })], is: 'r' },
  { who: 'only the name', there: [someone('h'), someone('r', { userName: 'Ann' })], is: 'r' },
  {
    who: 'the id before the name',
    there: [someone('n', { userName: 'Ann' }), someone('r', { userId: 'tavus-replica-1' })],
    is: 'r',
  },
  {
    who: 'our own bot of that name',
    there: [someone('b', { userName: 'Ann', userData: { conversationId: 'c', epoch: 1 } })],
    is: undefined,
  },
  { who: 'ourselves', there: [{ ...someone('l', { userName: 'Ann' }), local: true }], is: undefined },
  { who: 'a recorder', there: [someone('rec', { userName: 'Recorder' })], is: undefined },
])('the replica among $who is $is', ({ there, is }) => {
  expect(findReplica(there, 'Ann')?.id).toBe(is);
});

test('settings: absent changes nothing, null is a value, extra merges by key', () => {
  const settings = new TavusVideoSettings({ model: 'a', extra: { k: 1 } });
  expect(settings.applyUpdate({})).toEqual({});
  expect(settings.applyUpdate({ model: 'a', extra: { k: 1 } })).toEqual({});
  expect(settings.applyUpdate({ model: null, extra: { k: 2, n: true } })).toEqual({
    model: 'a',
    'extra.k': 1,
    'extra.n': null,
  });
  expect([settings.model, settings.extra('k')]).toEqual([null, 2]);
});

test('extra settings over the limit are refused as a whole, and speech goes on', async () => {
  const { service, said, live } = setup();
  await live();
  const many = (from: number, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${from + n}`, 1]));
  service.processFrame({ type: 'settings-update', settings: { extra: many(0, 64) } });
  service.processFrame({ type: 'settings-update', settings: { extra: many(63, 2) } });
  service.processFrame({ type: 'settings-update', settings: { extra: { k5: 2 } } });
  const told = said.filter(({ type }) => type === 'settings-updated' || type === 'error');
  expect(told).toMatchObject([
    { type: 'settings-updated' },
    { type: 'error', code: 'malformed-frame', fatal: false },
    { type: 'settings-updated', changed: { 'extra.k5': 1 } },
  ]);
  service.processFrame(audio);
  expect(service.bufferedMs).toBeGreaterThan(0);
  await service.cleanup(never);
});
