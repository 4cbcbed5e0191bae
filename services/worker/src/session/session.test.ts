import { describe, expect, test } from 'vitest';
import { SessionWorld } from './test-world.ts';

const second = { type: 'tts-audio', rate: 24_000, channels: 1, audio: new Uint8Array(48_000) } as const;
const user = { id: 'u1', local: false, tracks: {} };
const media = { fps: 24, width: 640, height: 360, audioSamples: 1, concealedSamples: 0, audioPeak: 0 };
type Act = (w: SessionWorld) => void | Promise<void>;

describe('a live session', () => {
  test.each<{ when: string; act: Act; reason: string; afterMs?: number }>([
    { when: 'end is read', act: (w) => w.send({ type: 'end' }), reason: 'stopped' },
    { when: 'cancel is read', act: (w) => w.send({ type: 'cancel' }), reason: 'canceled' },
    { when: 'a stop is asked', act: (w) => w.session.asked('stop'), reason: 'stopped' },
    { when: 'a cancel is asked', act: (w) => w.session.asked('cancel'), reason: 'canceled' },
    {
      when: 'a cancel is asked while it drains',
      act: (w) => (w.send(second, second, second, { type: 'end' }), w.session.asked('cancel')),
      reason: 'canceled',
    },
    { when: 'the worker drains', act: (w) => w.session.drain('drained'), reason: 'drained' },
    { when: 'the worker cannot wait', act: (w) => w.session.hurry('drained'), reason: 'drained' },
    {
      when: 'the user room is lost',
      act: (w) => w.room.emit({ type: 'lost', room: 'user', code: 'room-ejected', reason: 'x' }),
      reason: 'user-room-refused',
    },
    {
      when: 'Tavus calls back that it is over',
      act: (w) => w.session.shutdown.told('max_call_duration reached'),
      reason: 'tavus-ended',
    },
    {
      when: 'Tavus calls back that somebody has ended it',
      act: (w) => w.session.shutdown.told('end_conversation_endpoint_hit'),
      reason: 'tavus-ended',
    },
    {
      when: 'Tavus calls back that nobody pays',
      act: (w) => w.session.shutdown.told('out of conversational credits'),
      reason: 'tavus-credits',
    },
    {
      when: 'nobody watches',
      act: (w) => w.room.emit({ type: 'participant-left', room: 'user', participant: user }),
      afterMs: 5_000,
      reason: 'room-empty',
    },
  ])('$when → $reason, nothing left open', async ({ act, reason, afterMs = 0 }) => {
    const w = new SessionWorld({ limits: { emptyRoomSeconds: 5 } });
    await w.live();
    w.room.emit({ type: 'participant-joined', room: 'user', participant: user });
    await act(w);
    await w.clock.pass(afterMs);
    await w.clock.pass(5_000);
    expect(w.ending).toMatchObject({ reason });
    expect(w.log.filter((line) => line.startsWith('tavus end'))).toEqual(['tavus end t1']);
    expect(w.log.indexOf('stopping')).toBeLessThan(w.log.indexOf('tavus end t1'));
    expect(w.log.at(-1)).toBe(`ended ${reason}`);
    expect(w.stillOpen()).toEqual([]);
  });

  test('users in the Tavus room itself: the replica is not one of them, and its voice is not taken', async () => {
    const w = new SessionWorld({ output: { direct: true }, limits: { emptyRoomSeconds: 5 } });
    await w.live();
    expect(w.room.calls).toContainEqual({
      method: 'watch',
      participantId: 'replica',
      options: { video: true, audio: false },
    });
    w.room.emit({ type: 'participant-joined', room: 'tavus', participant: user });
    await w.clock.pass(10_000);
    w.room.emit({ type: 'media', report: { ...media, framesDecoded: 240 } });
    expect(w.ending).toBeUndefined();
    w.room.emit({ type: 'participant-left', room: 'tavus', participant: user });
    await w.clock.pass(6_000);
    expect(w.ending).toMatchObject({ reason: 'room-empty' });
    expect(w.events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['participant-joined', 'participant-left']),
    );
  });

  test.each<{ when: string; act: Act }>([
    { when: 'its lease is lost', act: (w) => w.session.lost() },
    { when: 'a higher epoch joins', act: (w) => w.room.emit({ type: 'evicted', epoch: 2 }) },
    {
      when: 'its lease is lost while it drains',
      act: async (w) => (w.send(second, second, second, { type: 'end' }), await w.clock.pass(500), w.session.lost()),
    },
    { when: 'Redis fences its move', act: (w) => ((w.fenced = true), w.session.asked('cancel')) },
  ])('$when → leaves silently and ends nothing', async ({ act }) => {
    const w = new SessionWorld();
    await w.live();
    await act(w);
    const said = w.log.length;
    await w.clock.pass(10_000);
    expect(w.ending).toEqual({ how: 'abandon', reason: 'lease-lost' });
    expect(w.log.slice(said).filter((line) => /^(tavus|end|ended)/.test(line))).toEqual([]);
    expect(w.room.order.filter((call) => call === 'leave')).toHaveLength(1);
    expect(w.stillOpen()).toEqual(['Tavus t1']);
  });

  test('stop plays what was accepted; an interruption after it still silences', async () => {
    const w = new SessionWorld();
    await w.live();
    w.send(second, second, second, { type: 'end' });
    await w.clock.pass(1_000);
    expect(w.ending).toBeUndefined();
    w.send({ type: 'interruption' });
    await w.clock.pass(1_500);
    expect(w.ending).toMatchObject({ reason: 'stopped' });
    expect(w.events).toContainEqual({ type: 'interrupted', data: { playedMs: 1000, droppedMs: 2000 } });
    expect(w.stillOpen()).toEqual([]);
  });

  test('cancel is silent at once also while Redis does not answer; Tavus is ended when it does', async () => {
    const w = new SessionWorld();
    await w.live();
    w.redisDown = true;
    w.session.asked('cancel');
    await w.clock.pass(3_000);
    expect(w.room.order).toContain('leave');
    expect(w.tavusOpen.size).toBe(1);
    w.redisDown = false;
    await w.clock.pass(3_000);
    expect(w.stillOpen()).toEqual([]);
  });

  test('in a hurry without Redis it gives up after its time and ends nothing at Tavus', async () => {
    const w = new SessionWorld();
    await w.live();
    w.redisDown = true;
    w.session.hurry('drained');
    await w.clock.pass(10_100);
    expect(w.ending).toMatchObject({ how: 'abandon' });
    expect(w.stillOpen()).toEqual(['Tavus t1']);
  });

  test.each([-600_000, 0, 600_000])(
    'frame age and start time are Redis’ also with a clock off by %i ms',
    async (skewMs) => {
      const w = new SessionWorld({}, { skewMs, ageMs: 3_000 });
      await w.live();
      w.send(second);
      expect(w.ages).toEqual([0]);
      expect(w.session.state).toBe('live');
      w.session.asked('cancel');
      await w.clock.pass(100);
      expect(w.stillOpen()).toEqual([]);
    },
  );
});

describe('a starting session', () => {
  test.each<{ when: string; act: Act; reason: string }>([
    { when: 'stop is asked and nothing waits', act: (w) => w.session.asked('stop'), reason: 'stopped' },
    { when: 'cancel is asked', act: (w) => w.session.asked('cancel'), reason: 'canceled' },
    { when: 'the replica never shows', act: (w) => w.clock.pass(120_000), reason: 'start-timeout' },
  ])('$when → $reason, nothing left open', async ({ act, reason }) => {
    const w = new SessionWorld({ limits: { emptyRoomSeconds: 3600 } });
    w.run();
    await w.clock.pass(10);
    await act(w);
    await w.clock.pass(5_000);
    expect(w.ending).toMatchObject({ reason });
    expect(await w.session.started).toMatchObject({ reason });
    expect(w.stillOpen()).toEqual([]);
  });

  test('cancel before the room is open or while Tavus creates → what comes to be is ended', async () => {
    const early = new SessionWorld();
    early.run();
    early.session.asked('cancel');
    await early.clock.pass(5_000);
    expect(early.ending).toMatchObject({ reason: 'canceled' });
    expect(early.stillOpen()).toEqual([]);

    const w = new SessionWorld();
    const gate = Promise.withResolvers<void>();
    w.creating = gate.promise;
    w.run();
    await w.clock.pass(10);
    w.session.asked('cancel');
    await w.clock.pass(1_000);
    gate.resolve();
    await w.clock.pass(5_000);
    expect(w.log).toContain('tavus create');
    expect(w.room.order).not.toContain('join');
    expect(w.stillOpen()).toEqual([]);
  });

  test('a stop behind frames waits until they were played', async () => {
    const w = new SessionWorld();
    w.run();
    await w.clock.pass(10);
    w.send({ type: 'interruption' }, { type: 'tts-started' }, second, { type: 'tts-stopped' });
    w.session.asked('stop');
    await w.clock.pass(1_000);
    expect(w.ending).toBeUndefined();
    w.room.emit({ type: 'video-arrived' });
    await w.clock.pass(5_000);
    expect(w.room.written.byteLength).toBe(48_000);
    expect(w.ending).toMatchObject({ reason: 'stopped' });
    expect(w.events.filter((event) => event.type === 'frames-dropped')).toEqual([]);
    expect(w.stillOpen()).toEqual([]);
  });

  test('a user room that is not allowed → nothing is opened', async () => {
    const w = new SessionWorld({ output: { room: { url: 'https://evil.example/room' } } });
    w.run();
    await w.clock.pass(1_000);
    expect(w.ending).toMatchObject({ reason: 'user-room-refused' });
    expect(w.rooms.opened).toEqual([]);
    expect(w.stillOpen()).toEqual([]);
  });

  test('Redis away for some seconds makes it wait, not fail', async () => {
    const w = new SessionWorld();
    w.redisDown = true;
    w.run();
    await w.clock.pass(5_000);
    w.redisDown = false;
    await w.clock.pass(2_000);
    w.room.emit({ type: 'video-arrived' });
    await w.clock.pass(100);
    expect(w.session.state).toBe('live');
    w.session.hurry('drained');
    await w.clock.pass(1_000);
    expect(w.stillOpen()).toEqual([]);
  });
});

describe('Tavus’ word on the end of its call', () => {
  test.each([
    { reason: 'exception_encountered_during_conversation_startup', ends: 'start-failed' },
    { reason: 'max_call_duration reached', ends: 'tavus-ended' },
  ])('while the replica is waited for ends the start at once: $reason → $ends', async ({ reason, ends }) => {
    const w = new SessionWorld();
    w.run();
    await w.clock.pass(100);
    w.session.shutdown.told(reason);
    await w.clock.pass(5_000);
    expect(w.ending).toMatchObject({ reason: ends });
    expect(w.stillOpen()).toEqual([]);
  });

  test('says when a call was cut before its time', async () => {
    const w = new SessionWorld({ limits: { maxDurationSeconds: 60 } });
    await w.live();
    w.session.shutdown.told('max_call_duration reached');
    await w.clock.pass(5_000);
    const [error] = w.events.filter(({ type }) => type === 'error');
    expect(error).toMatchObject({ data: { fatal: true, message: expect.stringContaining('minutes may be used up') } });
  });

  test('changes nothing of how it is ending already', async () => {
    const w = new SessionWorld();
    await w.live();
    w.session.asked('cancel');
    w.session.shutdown.told('end_conversation_endpoint_hit');
    await w.clock.pass(5_000);
    expect(w.ending).toMatchObject({ reason: 'canceled' });
  });
});
