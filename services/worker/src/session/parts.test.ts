import { Counters, FleetError, type OutboundEvent } from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { FakeRoom } from '@tavus-fleet/rooms';
import { describe, expect, test } from 'vitest';
import { Checkpoints } from './checkpoints.ts';
import { EmptyRoomCheck } from './checks/empty-room.ts';
import { IdleCheck } from './checks/idle.ts';
import { ReplicaMuteCheck } from './checks/replica-mute.ts';
import { ReplicaStillCheck } from './checks/replica-still.ts';
import { Endings } from './endings.ts';
import { EventWriter } from './event-writer.ts';
import { SessionOutput } from './output.ts';
import { endReasonOf } from './succession.ts';

const event = (n: number): OutboundEvent => ({ type: 'tts-started', data: { context: String(n) } });

describe('EventWriter', () => {
  function setup() {
    const clock = new FakeClock();
    const written: OutboundEvent[] = [];
    const world = { how: 'ok' as 'ok' | 'silent' | 'fenced' | 'misfit', fenced: 0 };
    const writer = new EventWriter(
      async (each) => {
        if (world.how === 'silent') throw new FleetError('redis-unavailable', 'silent');
        if (world.how === 'misfit' && each.type === 'tts-started') throw new FleetError('internal', 'does not fit');
        if (world.how === 'fenced') return false;
        written.push(each);
        return true;
      },
      () => (world.fenced += 1),
      clock,
    );
    return { clock, written, world, writer };
  }

  test('keeps the order over an outage and says how many were lost when too many wait', async () => {
    const { clock, written, world, writer } = setup();
    world.how = 'silent';
    for (let n = 0; n < 2_005; n += 1) writer.write(event(n));
    await clock.pass(3_000);
    world.how = 'ok';
    await clock.pass(1_000);
    await writer.flush(new AbortController().signal);
    expect(written).toHaveLength(2_001);
    expect(written.filter((each) => each.type === 'error')).toMatchObject([
      { data: { message: '5 events were lost while Redis was silent.' } },
    ]);
    const order = written.flatMap((each) => (each.type === 'tts-started' ? [Number(each.data.context)] : []));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order.at(-1)).toBe(2_004);
    expect(clock.pending).toBe(0);
  });

  test('an event that never fits holds up nobody: its loss is said in its place', async () => {
    const { written, world, writer } = setup();
    world.how = 'misfit';
    writer.write(event(1));
    writer.write({ type: 'bot-started-speaking', data: { source: 'audio' } });
    await writer.flush(new AbortController().signal);
    expect(written.map((each) => each.type)).toEqual(['error', 'bot-started-speaking']);
  });

  test('fenced: told once, nothing more is written; a flush ends with its signal while Redis is silent', async () => {
    const { written, world, writer } = setup();
    world.how = 'fenced';
    writer.write(event(1));
    writer.write(event(2));
    await writer.flush(new AbortController().signal);
    writer.write(event(3));
    expect([world.fenced, written]).toEqual([1, []]);

    const silent = setup();
    silent.world.how = 'silent';
    silent.writer.write(event(1));
    const stop = new AbortController();
    const flushing = silent.writer.flush(stop.signal);
    stop.abort();
    await flushing;
    silent.writer.close();
    await silent.clock.pass(1_000);
    expect(silent.clock.pending).toBe(0);
  });
});

describe('Checkpoints', () => {
  test('saves within 350 ms of a change, not otherwise; at once what is far ahead; again after a silent Redis; never after close', async () => {
    const clock = new FakeClock();
    let saves = 0;
    let silent = false;
    const checkpoints = new Checkpoints(
      clock,
      async () => ((saves += 1), silent ? Promise.reject(new Error('silent')) : 'patched'),
      () => expect.unreachable(),
    );
    await clock.pass(5_000);
    expect([saves, clock.pending]).toEqual([0, 0]);
    checkpoints.changed();
    checkpoints.changed();
    await clock.pass(500);
    expect(saves).toBe(1);
    silent = true;
    checkpoints.changed();
    await clock.pass(1_500);
    silent = false;
    await clock.pass(500);
    expect([saves, clock.pending]).toEqual([6, 0]);
    checkpoints.changed(349);
    checkpoints.changed(900);
    checkpoints.changed(1_300);
    await clock.pass(0);
    expect([saves, clock.pending]).toEqual([8, 0]);
    checkpoints.changed(1_301);
    await checkpoints.close();
    await checkpoints.close();
    checkpoints.changed(9_000);
    await clock.pass(5_000);
    expect([saves, clock.pending]).toEqual([8, 0]);
  });
});

describe('checks', () => {
  const user = (id: string) => ({ id, local: false, tracks: {} });
  test('an empty room counts from the join and from the last user’s leave; bots are nobody', async () => {
    const clock = new FakeClock();
    const tripped: number[] = [];
    const check = new EmptyRoomCheck(
      clock,
      10,
      'user',
      ({ id }) => id !== 'bot',
      () => tripped.push(clock.now()),
    );
    check.start([user('bot')]);
    await clock.pass(9_999);
    check.handle({ type: 'participant-joined', room: 'user', participant: user('a') });
    check.handle({ type: 'participant-joined', room: 'tavus', participant: user('b') });
    await clock.pass(60_000);
    check.handle({ type: 'participant-left', room: 'user', participant: user('bot') });
    await clock.pass(60_000);
    expect(tripped).toEqual([]);
    check.handle({ type: 'participant-left', room: 'user', participant: user('a') });
    await clock.pass(10_000);
    expect(tripped).toHaveLength(1);
    check.close();
    expect(clock.pending).toBe(0);
  });

  test('idle is no frame and nothing that still plays', async () => {
    const clock = new FakeClock();
    const now = { frames: 0, bufferedMs: 0 };
    let tripped = 0;
    const check = new IdleCheck(
      clock,
      10,
      () => now,
      () => (tripped += 1),
    );
    await clock.pass(9_000);
    now.frames = 1;
    await clock.pass(1_000);
    now.bufferedMs = 5_000;
    await clock.pass(30_000);
    now.bufferedMs = 0;
    await clock.pass(9_000);
    expect(tripped).toBe(0);
    await clock.pass(1_000);
    expect(tripped).toBe(1);
    check.close();
    expect(clock.pending).toBe(0);
  });

  test.each([true, false])(
    'a replica that sends nothing is told after 5 s and lost after 20 s (audio only: %s)',
    async (audioOnly) => {
      const clock = new FakeClock();
      let tripped = 0;
      const told: string[] = [];
      const check = new ReplicaStillCheck(
        clock,
        audioOnly,
        (code) => told.push(code),
        () => (tripped += 1),
      );
      const report = (n: number) => ({
        framesDecoded: audioOnly ? 1 : n,
        audioSamples: audioOnly ? n : 1,
        fps: 0,
        width: 0,
        height: 0,
        concealedSamples: 0,
        audioPeak: 0,
      });
      for (let n = 1; n <= 60; n += 1) {
        await clock.pass(1_000);
        check.handle({ type: 'media', report: report(n) });
      }
      expect(told).toEqual([]);
      for (let n = 0; n < 19; n += 1) {
        await clock.pass(1_000);
        expect(told).toEqual(n < 4 ? [] : ['replica-frozen']);
        check.handle({ type: 'media', report: report(60) });
      }
      expect(tripped).toBe(0);
      await clock.pass(1_000);
      expect(tripped).toBe(1);
      check.close();
      expect(clock.pending).toBe(0);
    },
  );

  test('a replica of which nothing is heard while it is given speech is told after 5 s of it and lost after 20 s', async () => {
    const clock = new FakeClock();
    let playedMs = 0;
    let tripped = 0;
    const told: string[] = [];
    const check = new ReplicaMuteCheck(
      clock,
      () => playedMs,
      (code) => told.push(code),
      () => (tripped += 1),
    );
    const speech = async (seconds: number): Promise<void> => {
      for (let n = 0; n < seconds; n += 1) {
        playedMs += 1_000;
        await clock.pass(1_000);
      }
    };
    await clock.pass(60_000); // nobody speaks: nothing to be heard
    playedMs += 30_000; // a burst counts for the second in which it was played
    await clock.pass(1_000);
    await speech(3);
    check.handle({ type: 'speech', speaking: true, at: 0 });
    await speech(60);
    check.handle({ type: 'speech', speaking: false, at: 0 });
    await speech(4);
    expect(told).toEqual([]);
    await speech(1);
    expect(told).toEqual(['replica-mute']);
    await speech(14);
    expect(tripped).toBe(0);
    await speech(1);
    expect(told).toEqual(['replica-mute']);
    expect(tripped).toBe(1);
    check.close();
    expect(clock.pending).toBe(0);
  });
});

test('a stronger ending replaces a weaker one, never the other way round', () => {
  const endings = new Endings();
  expect(endings.set({ how: 'stop', reason: 'stopped' })).toBe(true);
  expect(endings.cut.aborted).toBe(false);
  expect(endings.set({ how: 'stop', reason: 'drained' })).toBe(false);
  expect(endings.set({ how: 'cancel', reason: 'canceled' })).toBe(true);
  expect(endings.cut.aborted).toBe(true);
  expect(endings.set({ how: 'cancel', reason: 'idle' })).toBe(false);
  expect(endings.set({ how: 'abandon', reason: 'lease-lost' })).toBe(true);
  expect(endings.now).toMatchObject({ reason: 'lease-lost' });
});

test.each([
  ['tavus-auth', 'start', 'tavus-auth'],
  ['tavus-credits', 'start', 'tavus-credits'],
  ['room-join-failed', 'start', 'start-failed'],
  ['room-join-failed', 'live', 'replica-lost'],
  ['tavus-over', 'live', 'tavus-ended'],
  ['replica-absent', 'start', 'start-timeout'],
  ['replica-absent', 'live', 'replica-lost'],
  ['browser-failed', 'live', 'internal'],
] as const)('%s at %s ends as %s', (code, phase, reason) => {
  expect(endReasonOf(new FleetError(code, 'x'), phase === 'live')).toBe(reason);
});

test('output counts what it passes on and keeps the position', () => {
  const events: OutboundEvent[] = [];
  const output = new SessionOutput(
    (each) => void events.push(each),
    { ttfb: () => undefined, dropped: () => undefined },
    { played: () => undefined },
    {
      counters: Counters.parse({ utterances: 2, playedMs: 500 }),
      metrics: { startMs: 9 },
      position: '4-0',
      positionMs: 30,
    },
  );
  expect(output.progress(0).position).toBeUndefined();
  output.push({ type: 'tts-started', context: 'a' });
  output.push({ type: 'interrupted', playedMs: 1, droppedMs: 2 });
  output.push({ type: 'frames-dropped', count: 3, ms: 4, why: 'late' });
  output.push({ type: 'metrics', data: { ttfbMs: 250 } });
  output.malformed({ field: 'rate', problem: 'is odd' });
  output.played(undefined, { samples: 24, intoMs: 1 });
  expect(output.progress(1)).toMatchObject({ position: '4-0', positionMs: 31 });
  output.played('7-0', { samples: 48_000, intoMs: 20, inferenceId: 'i' });
  const room = new FakeRoom({ conversationId: 'c', epoch: 1 });
  room.on((each) => output.roomEvent(each));
  room.emit({
    type: 'participant-left',
    room: 'user',
    participant: { id: 'u', local: false, tracks: {} },
    reason: 'hidden',
  });
  expect(output.progress(9)).toEqual({
    position: '7-0',
    positionMs: 20,
    inferenceId: 'i',
    metrics: { startMs: 9, lastTtfbMs: 250 },
    counters: { framesIn: 9, framesMalformed: 1, framesDropped: 3, utterances: 3, interruptions: 1, playedMs: 2_500 },
  });
  expect(events.map((each) => each.type)).toEqual([
    'tts-started',
    'interrupted',
    'frames-dropped',
    'metrics',
    'error',
    'participant-left',
  ]);
  expect(events.at(-1)).toMatchObject({ data: { reason: 'hidden' } });
});
