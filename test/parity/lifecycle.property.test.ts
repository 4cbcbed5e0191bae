// Any order and number of calls, frames, failures and events of the room: what was created is ended once, what was joined is
// left once, whoever gave the conversation up touches nothing any more, and nothing of the service runs on.
import { FleetError } from '@tavus-fleet/contracts';
import type { FrameIn, ProcessorFrame } from '@tavus-fleet/video-service';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { LifecycleWorld } from './fixtures/lifecycle-world.ts';
import { NEVER, replica } from './fixtures/routing-world.ts';

const RUNS = process.env['FULL'] === '1' ? 10_000 : 1_000;
const PROPERTY_MS = 600_000; // for FULL; 1000 runs take a few seconds

const speech: readonly FrameIn[] = [
  { type: 'tts-started' },
  { type: 'tts-audio', rate: 24_000, channels: 1, audio: new Uint8Array(48_000).fill(7) },
  { type: 'tts-audio', rate: 16_000, channels: 2, audio: new Uint8Array(6_401).fill(7) },
  { type: 'tts-stopped' },
  { type: 'interruption' },
];
const frames: readonly (FrameIn | ProcessorFrame)[] = [
  ...speech,
  { type: 'settings-update', settings: { extra: { maxVideoFps: 15 } } },
  { type: 'message', message: { hello: 'replica' } },
  { type: 'end' },
  { type: 'cancel' },
  { type: 'output-transport-ready' },
  { type: 'bot-started-speaking' },
];

const calls = ['setup', 'start', 'stop', 'cancel', 'cleanup'] as const;
type Step =
  | { readonly do: (typeof calls)[number] | 'abandon' | 'picture' | 'replica-leaves' | 'replica-returns' | 'lost' }
  | { readonly do: 'frame'; readonly frame: FrameIn | ProcessorFrame }
  | { readonly do: 'avatar-speaks'; readonly on: boolean }
  | { readonly do: 'fails'; readonly what: 'join' | 'publishStream' | 'send' | 'flush' }
  | { readonly do: 'pass'; readonly ms: number };

const oneOf = (...of: readonly Step[]): fc.Arbitrary<Step> => fc.constantFrom(...of);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: oneOf({ do: 'setup' }, { do: 'start' }) },
  { weight: 2, arbitrary: oneOf(...calls.map((call) => ({ do: call }))) },
  { weight: 1, arbitrary: oneOf({ do: 'abandon' }) },
  { weight: 8, arbitrary: oneOf(...speech.map((frame) => ({ do: 'frame' as const, frame }))) },
  { weight: 3, arbitrary: oneOf(...frames.map((frame) => ({ do: 'frame' as const, frame }))) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 1_500 }) }) },
  { weight: 3, arbitrary: oneOf({ do: 'picture' }, { do: 'replica-leaves' }, { do: 'replica-returns' }) },
  { weight: 1, arbitrary: oneOf({ do: 'avatar-speaks', on: true }, { do: 'avatar-speaks', on: false }) },
  {
    weight: 1,
    arbitrary: oneOf(
      { do: 'lost' },
      { do: 'fails', what: 'join' },
      { do: 'fails', what: 'publishStream' },
      { do: 'fails', what: 'send' },
      { do: 'fails', what: 'flush' },
    ),
  },
);
/** Half of all runs begin like this: in any order alone few conversations would come to life. */
const live: readonly Step[] = [{ do: 'setup' }, { do: 'start' }, { do: 'pass', ms: 950 }, { do: 'picture' }];

const sometimes = fc.constantFrom(false, false, false, true);

/** Makes one step; a call of the service goes on by itself. A refusal is an answer too. */
function take(w: LifecycleWorld, one: Step): Promise<unknown> | undefined {
  switch (one.do) {
    case 'abandon':
      return w.service.abandon();
    case 'frame':
      w.service.processFrame(one.frame);
      return undefined;
    case 'pass':
      return undefined; // the caller's: time passes for all
    case 'picture':
      w.room.emit({ type: 'video-arrived' });
      return undefined;
    case 'avatar-speaks':
      w.room.emit({ type: 'speech', speaking: one.on, at: w.clock.now() });
      return undefined;
    case 'replica-leaves':
      w.room.emit({ type: 'participant-left', room: 'tavus', participant: replica('r') });
      return undefined;
    case 'replica-returns':
      w.room.emit({ type: 'participant-joined', room: 'tavus', participant: replica('r') });
      return undefined;
    case 'lost':
      w.room.emit({ type: 'lost', room: 'tavus', code: 'room-lost', reason: 'over' });
      return undefined;
    case 'fails':
      w.room.failures.set(one.what, new FleetError('room-lost', 'Not now.'));
      return undefined;
    default:
      return w.service[one.do](NEVER);
  }
}

it(
  'any order of calls ends with one leave, one end for each conversation, and nothing open',
  async () => {
    const reached = { joined: 0, spoke: 0, givenUpLive: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          before: fc.constantFrom([], live),
          steps: fc.array(step, { maxLength: 20, size: 'max' }),
          mode: fc.constantFrom('stream' as const, 'echo' as const),
          tavusMs: fc.constantFrom(0, 30, 900),
          createFails: sometimes,
          endFails: sometimes,
          leaveHangs: sometimes,
        }),
        async ({ before, steps, mode, tavusMs, createFails, endFails, leaveHangs }) => {
          const w = new LifecycleWorld({ mode, tavusMs });
          w.room.leaveHangs = leaveHangs;
          if (createFails) w.createFails.push('tavus-unavailable');
          if (endFails) w.endFails.push('tavus-unavailable');
          const count = (what: string): number => w.order.filter((call) => call === what).length;
          const work: Promise<unknown>[] = [];
          /** How far it was when the conversation was given up. */
          let atAbandon: { leaving: boolean; roomCalls: number } | undefined;
          for (const one of [...before, ...steps]) {
            const going = take(w, one);
            if (going) work.push(going.catch(() => undefined));
            if (one.do === 'abandon') atAbandon ??= { leaving: count('leave') === 1, roomCalls: w.room.calls.length };
            if (one.do === 'pass') await w.clock.pass(one.ms);
          }
          const cleanup = (): Promise<void> => w.service.cleanup(NEVER).catch(() => undefined);
          work.push(cleanup());
          const took = await w.until(Promise.all(work));
          expect(took).toBeLessThanOrEqual(5_000);
          await cleanup();

          const leftAndEnded = w.order.filter((call) => call === 'leave' || call === 'POST end');
          const whole = ['leave', ...Array.from({ length: w.created }, () => 'POST end')];
          // An end that its owner had asked for before it gave up may still go through; nobody asks for another.
          const allowed = !atAbandon ? [whole] : atAbandon.leaving ? [['leave'], whole] : [[]];
          expect(allowed).toContainEqual(leftAndEnded);
          expect(w.room.calls.length).toBe(atAbandon?.roomCalls ?? w.room.calls.length);
          if (atAbandon) void w.room.leave(); // its owner's business then; the room plays on until that
          expect(count('join')).toBeLessThanOrEqual(3);
          expect(w.created).toBeLessThanOrEqual(1);
          expect(w.room.listenerErrors).toEqual([]);
          expect(w.room.listeners).toBe(0);
          expect(w.clock.pending).toBe(0);

          const joined = w.pushed.some(({ type }) => type === 'joined');
          if (joined) reached.joined += 1;
          if (w.pushed.some(({ type }) => type === 'tts-started')) reached.spoke += 1;
          if (joined && atAbandon?.leaving === false) reached.givenUpLive += 1;

          const roomCalls = w.room.calls.length;
          const ends = count('POST end');
          for (const frame of frames) w.service.processFrame(frame);
          await w.service.stop(NEVER).catch(() => undefined);
          await w.service.start(NEVER).catch(() => undefined);
          await w.clock.pass(10_000);
          expect([w.room.calls.length, count('POST end'), w.clock.pending, w.room.listeners]).toEqual([
            roomCalls,
            ends,
            0,
            0,
          ]);
        },
      ),
      { numRuns: RUNS },
    );
    for (const times of Object.values(reached)) expect(times).toBeGreaterThan(RUNS / 50); // or all this proves little
  },
  PROPERTY_MS,
);
