import { FleetError, type ErrorCode, type InboundFrame } from '@tavus-fleet/contracts';
import { describe, expect, test } from 'vitest';
import type { Again } from './succession.ts';
import { entryOf, replica, SessionWorld, type WorldOptions } from './test-world.ts';

const REDIS_NOW = 1_800_000_000_000; // where a FakeClock begins
const audio = (ms: number, fill = 9): InboundFrame => ({
  type: 'tts-audio',
  rate: 24_000,
  channels: 1,
  audio: new Uint8Array(48 * ms).fill(fill),
});
const media = { fps: 24, width: 640, height: 360, audioSamples: 1, concealedSamples: 0, audioPeak: 0 };
const predecessor = { epoch: 1, crashes: 1, seenAt: REDIS_NOW - 3_200 };
/** Was live in t1, and its owner died a moment ago. */
const lost: WorldOptions = {
  epoch: 2,
  record: { state: 'live', liveAt: REDIS_NOW - 60_000, tavusConversationId: 't1' },
  succession: { predecessor },
  rows: [{ name: 'row-1', intendedAt: REDIS_NOW - 70_000, tavusConversationId: 't1' }],
  open: ['t1'],
};
const again = (code: ErrorCode, tavus: Again['tavus']): Again => ({ after: new FleetError(code, 'x'), tavus });
const calls = (w: SessionWorld, what: RegExp): string[] => w.log.filter((line) => what.test(line));
const written = (w: SessionWorld): number => w.room.written.byteLength / 48;

async function successor(options: WorldOptions, ...stored: [string, InboundFrame][]): Promise<SessionWorld> {
  const w = new SessionWorld({}, options);
  w.stored.push(...stored.map(([id, frame]) => entryOf(id, frame)));
  await w.live();
  return w;
}

describe('a successor', () => {
  test('goes back into the same Tavus room, says so, and ends it when it is stopped', async () => {
    const w = await successor(lost);
    expect(w.room.calls).toContainEqual({
      method: 'join',
      options: expect.objectContaining({ url: 'https://tavus.daily.co/t1' }) as unknown,
    });
    expect(calls(w, /create$/)).toEqual([]);
    expect(w.events).toContainEqual({ type: 'takeover', data: { fromEpoch: 1, gapMs: 3_210, mayRepeatMs: 0 } });
    w.session.asked('stop');
    await w.clock.pass(5_000);
    expect(w.ending).toMatchObject({ reason: 'stopped' });
    expect(calls(w, /^(tavus end|closed)/)).toEqual(['tavus end t1', 'closed row-1']);
    expect(w.stillOpen()).toEqual([]);
  });

  test('whose Tavus conversation is gone makes another, in the name of its own epoch', async () => {
    const w = await successor({ ...lost, open: [] });
    expect(calls(w, /^(tavus create|created|closed)/)).toEqual(['closed row-1', 'tavus create', 'created t2']);
    expect(w.replacements).toBe(1);
    w.session.asked('cancel');
    await w.clock.pass(5_000);
    expect(w.stillOpen()).toEqual([]);
  });

  test('whose Tavus conversation ran into its limit ends it, and makes none', async () => {
    const w = new SessionWorld({}, { ...lost, open: [] });
    w.why = 'max_call_duration reached';
    w.run();
    await w.clock.pass(1_000);
    expect(w.ending).toMatchObject({ reason: 'tavus-ended', error: { code: 'tavus-over' } });
    expect(calls(w, /create$/)).toEqual([]);
    expect(w.stillOpen()).toEqual([]);
  });

  test('of one that died while it created finds the conversation by its name and goes on with it', async () => {
    const w = new SessionWorld({}, { epoch: 2, record: { state: 'starting' }, succession: { predecessor } });
    w.rows = [{ name: 'row-1', intendedAt: REDIS_NOW - 4_000 }];
    w.tavusNamed.set('row-1', 't9');
    w.tavusOpen.add('t9');
    await w.live();
    expect(calls(w, /create$|created/)).toEqual(['created t9']);
    w.session.asked('cancel');
    await w.clock.pass(5_000);
    expect(calls(w, /^(tavus end|closed)/)).toEqual(['tavus end t9', 'closed row-1']);
    expect(w.stillOpen()).toEqual([]);
  });

  test('ends what turns up late, and closes the row of what never does', async () => {
    const w = new SessionWorld({}, { epoch: 2, record: { state: 'starting' }, succession: { predecessor } });
    w.rows = [
      { name: 'late', intendedAt: REDIS_NOW - 4_000 },
      { name: 'never', intendedAt: REDIS_NOW - 5_000 },
    ];
    w.run();
    await w.clock.pass(1_000); // it was looked for twice
    w.room.emit({ type: 'video-arrived' });
    await w.clock.pass(5_000);
    expect(calls(w, /create$|closed/)).toEqual(['tavus create']);
    w.tavusNamed.set('late', 't9');
    w.tavusOpen.add('t9');
    await w.clock.pass(4_000);
    expect(calls(w, /^(tavus end|closed)/)).toEqual(['tavus end t9', 'closed late']);
    for (let n = 0; n < 3; n += 1) {
      w.room.emit({ type: 'media', report: { ...media, framesDecoded: n } });
      await w.clock.pass(10_000);
    }
    expect(calls(w, /^closed/)).toEqual(['closed late', 'closed never']);
    expect(w.rows).toEqual([]);
    w.session.asked('cancel');
    await w.clock.pass(5_000);
    expect(w.stillOpen()).toEqual([]);
  });

  test.each<{ found: Partial<NonNullable<WorldOptions['record']>>; crashes?: number; reason: string }>([
    { found: { desired: 'stop' }, reason: 'stopped' },
    { found: { desired: 'cancel' }, reason: 'canceled' },
    { found: { state: 'stopping', stopReason: 'idle' }, reason: 'idle' },
    { found: { state: 'stopping', stopReason: 'idle', desired: 'stop' }, reason: 'idle' },
    { found: { state: 'stopping', stopReason: 'stopped', desired: 'cancel' }, reason: 'canceled' },
    { found: {}, crashes: 3, reason: 'quarantined' },
  ])('that finds $found (owners lost: $crashes) only cleans up: $reason', async ({ found, crashes = 1, reason }) => {
    const w = new SessionWorld(
      {},
      { ...lost, record: { ...lost.record, ...found }, succession: { predecessor: { ...predecessor, crashes } } },
    );
    w.stored.push(entryOf('5-0', { type: 'tts-started' }), entryOf('6-0', audio(500)));
    w.run();
    await w.clock.pass(5_000);
    expect(w.ending).toMatchObject({ how: 'cancel', reason });
    expect(w.rooms.opened).toEqual([]);
    expect(calls(w, /^(tavus end|closed|end )/)).toEqual(['tavus end t1', 'closed row-1', `end ${reason}`]);
    expect(w.events).toContainEqual({ type: 'frames-dropped', data: expect.objectContaining({ count: 2 }) as unknown });
    expect(w.stillOpen()).toEqual([]);
  });
});

describe('speech after a takeover', () => {
  const at = (position: string, more: object = {}): WorldOptions => ({
    ...lost,
    record: { ...lost.record, position, positionAt: REDIS_NOW - 3_400, ...more },
  });
  const id = (msAgo: number): string => `${REDIS_NOW - msAgo}-0`;
  const begun = (w: SessionWorld): number => w.events.filter(({ type }) => type === 'tts-started').length;
  async function over(w: SessionWorld): Promise<SessionWorld> {
    w.room.emit({ type: 'speech', speaking: true, at: 0 });
    await w.clock.pass(10_000);
    w.session.asked('cancel');
    await w.clock.pass(5_000);
    expect(w.stillOpen()).toEqual([]);
    return w;
  }

  test.each([
    { left: 'that it speaks', leftSpeaking: true, heard: false, told: ['bot-stopped-speaking'] },
    { left: 'that it speaks, and it still does', leftSpeaking: true, heard: true, told: ['bot-started-speaking'] },
    { left: 'that it is silent', leftSpeaking: false, heard: false, told: [] },
  ])('whose last owner’s word was $left: tells $told', async ({ leftSpeaking, heard, told }) => {
    const w = new SessionWorld({}, at('0'));
    w.leftSpeaking = leftSpeaking;
    w.run();
    await w.clock.pass(50);
    if (heard) w.room.emit({ type: 'speech', speaking: true, at: 0 });
    w.room.emit({ type: 'video-arrived' });
    await w.clock.pass(500);
    expect(w.events.map(({ type }) => type).filter((type) => type.startsWith('bot-'))).toEqual(told);
    await over(w);
  });

  test('goes on in the utterance that was open, behind what was played of it, without beginning it again', async () => {
    const w = await over(
      await successor(
        at(id(4_000), { positionMs: 300, counters: { utterances: 1, playedMs: 800 } }),
        [id(4_500), { type: 'tts-started' }],
        [id(4_000), audio(500)],
        [id(3_900), audio(1_000)],
        [id(3_000), audio(400)],
        [id(2_900), { type: 'tts-stopped' }],
      ),
    );
    expect(written(w)).toBe(1_100);
    expect(begun(w)).toBe(0);
    expect(w.events.filter(({ type }) => type === 'tts-stopped')).toHaveLength(1);
    expect(w.events).toContainEqual({
      type: 'takeover',
      data: expect.objectContaining({ mayRepeatMs: 500 }) as unknown,
    });
    expect(w.saved).toMatchObject({
      position: id(2_900),
      positionMs: 0,
      counters: { utterances: 1, playedMs: 1_900, framesIn: 3 },
    });
  });

  test('leaves out the rest of one that was cut for longer than 5 s, and says how much', async () => {
    const w = await over(
      await successor(
        at(id(9_500), { positionAt: REDIS_NOW - 9_000 }),
        [id(9_500), audio(500)],
        [id(8_900), audio(700)],
        [id(8_800), { type: 'tts-stopped' }],
        [id(8_700), { type: 'tts-started' }],
        [id(8_600), audio(300)],
        [id(8_500), { type: 'tts-stopped' }],
      ),
    );
    expect(written(w)).toBe(300);
    expect(begun(w)).toBe(1);
    expect(w.events).toContainEqual({ type: 'frames-dropped', data: { count: 1, ms: 700, why: 'late' } });
  });

  test('speech that was sent far ahead is not late because it is old', async () => {
    const w = await over(
      await successor(
        at(id(60_000), { positionAt: REDIS_NOW - 3_400 }),
        [id(60_000), audio(500)],
        [id(59_000), audio(600)],
      ),
    );
    expect(written(w)).toBe(600);
  });

  test('what an interruption overtook is not played, and the replica is told', async () => {
    const w = await over(
      await successor(
        at(id(4_000)),
        [id(4_000), audio(500)],
        [id(3_900), audio(1_000)],
        [id(2_000), { type: 'interruption' }],
        [id(1_900), { type: 'tts-started' }],
        [id(1_800), audio(200)],
      ),
    );
    expect(written(w)).toBe(200);
    expect(w.room.sent).toContainEqual(expect.objectContaining({ event_type: 'conversation.interrupt' }));
    expect(w.events).toContainEqual({ type: 'frames-dropped', data: { count: 1, ms: 1_000, why: 'interrupted' } });
  });

  test('nothing is fed before the stream was read to its tail', async () => {
    const w = new SessionWorld({}, at(id(4_000)));
    w.stored.push(entryOf(id(4_000), audio(500)), entryOf(id(3_900), audio(1_000)));
    w.tail = `${REDIS_NOW + 5}-0`;
    await w.live();
    await w.clock.pass(1_000);
    expect(written(w)).toBe(0);
    w.send({ type: 'interruption' });
    await over(w);
    expect(written(w)).toBe(0);
  });
});

describe('a replica that does not hear its new owner', () => {
  const ghost = { id: 'ghost', local: false, tracks: {}, userData: { conversationId: 'c1', epoch: 1 } };

  test.each<{ when: string; leavesMs?: number; afterMs: number }>([
    { when: 'nobody else is there', afterMs: 3_000 },
    { when: 'a ghost leaves later', leavesMs: 5_000, afterMs: 5_000 },
    { when: 'a ghost stays', afterMs: 8_000 },
  ])('$when: the session begins anew after $afterMs ms, and what was not heard is played again', async (row) => {
    const w = new SessionWorld({}, lost);
    w.rooms.prepare = (room) => {
      room.participants = row.when === 'nobody else is there' ? [replica] : [replica, ghost];
    };
    await w.live();
    w.send({ type: 'tts-started' }, audio(20_000), { type: 'tts-stopped' });
    await w.clock.pass(row.leavesMs ?? row.afterMs - 100);
    expect(w.ending).toBeUndefined();
    if (row.leavesMs) w.room.emit({ type: 'participant-left', room: 'tavus', participant: ghost });
    await w.clock.pass(400);
    expect(w.ending).toMatchObject({ how: 'again', again: { tavus: 'rejoin', after: { code: 'replica-unheard' } } });
    expect(w.saved?.position).toBeUndefined();
    expect(w.stillOpen()).toEqual(['Tavus t1']);
  });

  test('silence is no speech, and a replica that answers is heard for good', async () => {
    const w = await successor(lost);
    w.send({ type: 'tts-started' }, audio(5_000, 0), { type: 'tts-stopped' });
    await w.clock.pass(10_000);
    w.room.emit({ type: 'media', report: { ...media, framesDecoded: 1 } });
    expect(w.ending).toBeUndefined();
    w.send({ type: 'tts-started' }, audio(1_000), { type: 'tts-stopped' });
    await w.clock.pass(2_900);
    w.room.emit({ type: 'speech', speaking: true, at: 0 });
    w.room.emit({ type: 'speech', speaking: false, at: 0 });
    await w.clock.pass(10_000);
    w.room.emit({ type: 'media', report: { ...media, framesDecoded: 2 } });
    w.send({ type: 'tts-started' }, audio(4_000), { type: 'tts-stopped' });
    await w.clock.pass(10_000);
    expect(w.ending).toBeUndefined();
    expect(w.saved?.position).toBeDefined();
    w.session.asked('cancel');
    await w.clock.pass(5_000);
    expect(w.stillOpen()).toEqual([]);
  });
});

test('a session that is lost while it gives back is not counted as ended', async () => {
  const w = new SessionWorld();
  await w.live();
  w.fencedAtEnd = true;
  w.session.asked('stop');
  await w.clock.pass(10_000);
  expect(w.ending).toEqual({ how: 'abandon', reason: 'lease-lost' });
  expect(calls(w, /^ended/)).toEqual([]);
});

test('an heir sits in the room already and asks nobody whether it still runs', async () => {
  const w = await successor({ ...lost, succession: { handedOver: true } });
  expect(calls(w, /^tavus (create|look)/)).toEqual([]);
  expect((await successor(lost)).log).toContain('tavus look t1');
});

describe('a session that cannot go on', () => {
  test.each([
    ['the page dies', { type: 'closed', code: 'page-crashed', reason: 'x' }, 'page-crashed'],
    ['it is ejected', { type: 'lost', room: 'tavus', code: 'room-ejected', reason: 'x' }, 'room-ejected'],
    [
      'the user room’s connection breaks',
      { type: 'lost', room: 'user', code: 'room-lost', reason: 'x' },
      'user-room-refused',
    ],
  ] as const)('%s: it is told, everything is given back but the conversation at Tavus', async (_, event, code) => {
    const w = new SessionWorld();
    await w.live();
    w.send({ type: 'tts-started' }, audio(2_000), { type: 'tts-stopped' });
    await w.clock.pass(1_000);
    w.room.emit(event);
    await w.clock.pass(5_000);
    expect(w.ending).toMatchObject({ how: 'again', again: { after: { code }, tavus: 'rejoin' } });
    expect(w.events).toContainEqual({
      type: 'error',
      data: expect.objectContaining({ code, fatal: false }) as unknown,
    });
    expect(calls(w, /^(tavus end|end|stopping)/)).toEqual([]);
    expect(w.log.at(-1)).not.toMatch(/^ended/);
    expect(w.saved?.counters.playedMs).toBeGreaterThan(800);
    expect(w.stillOpen()).toEqual(['Tavus t1']);
  });

  test('while a stop plays what was accepted keeps the reason of the stop', async () => {
    const w = new SessionWorld();
    await w.live();
    w.send({ type: 'tts-started' }, audio(5_000), { type: 'tts-stopped' }, { type: 'end' });
    await w.clock.pass(1_000);
    w.room.emit({ type: 'closed', code: 'page-crashed', reason: 'x' });
    await w.clock.pass(1_000);
    expect(w.ending).toMatchObject({ how: 'cancel', reason: 'stopped' });
    expect(w.stillOpen()).toEqual([]);
  });

  test('ends the old conversation first when another is to take its place', async () => {
    const w = await successor({
      ...lost,
      succession: { predecessor, again: again('replica-lost', 'replace') },
    });
    expect(calls(w, /^tavus (end|create)|^closed/)).toEqual(['tavus end t1', 'closed row-1', 'tavus create']);
    expect(w.replacements).toBe(1);
    w.session.asked('cancel');
    await w.clock.pass(5_000);
    expect(w.stillOpen()).toEqual([]);
  });

  test('Tavus’ word on the one that was replaced does not end the one in its place; its own does', async () => {
    const w = new SessionWorld({}, { ...lost, succession: { predecessor, again: again('replica-lost', 'replace') } });
    w.session.shutdown.told('end_conversation_endpoint_hit'); // called back before this one is in the record
    await w.live();
    expect(w.ending).toBeUndefined();
    w.session.shutdown.told('end_conversation_endpoint_hit');
    await w.clock.pass(5_000);
    expect(w.ending).toMatchObject({ reason: 'tavus-ended' });
    expect(w.stillOpen()).toEqual([]);
  });

  test('when what it was to go back into is gone, and it was begun anew before, it is over', async () => {
    const w = new SessionWorld(
      {},
      {
        ...lost,
        record: { ...lost.record, replacements: 1 },
        succession: { predecessor, again: again('room-lost', 'rejoin') },
        open: [],
      },
    );
    w.run();
    await w.clock.pass(5_000);
    expect(w.ending).toMatchObject({ how: 'cancel', reason: 'tavus-ended' });
    expect(w.stillOpen()).toEqual([]);
  });
});
