import { FleetError } from '@tavus-fleet/contracts';
import { describe, expect, it } from 'vitest';
import { audioOf, audioWorld, interruption, joined, sound, stopped, type EchoSeen } from './fixtures/audio-world.ts';

const a = (count: number, seed = 1) => Array.from({ length: count }, (_, i) => sound(20, seed * 100 + i));
const SILENCE = new Uint8Array(1920);

/** The utterances that arrived, in order of their first message: their sound, and how they were closed. */
function utterances(echoes: readonly EchoSeen[]) {
  const ids = [...new Set(echoes.map((echo) => echo.id))];
  return ids.map((id) => {
    const mine = echoes.filter((echo) => echo.id === id);
    return {
      audio: joined(mine.filter((echo) => !echo.done).map((echo) => echo.audio)),
      closings: mine.filter((echo) => echo.done).map((echo) => echo.audio),
      doneIsLast: mine.findIndex((echo) => echo.done) === mine.length - 1,
    };
  });
}
const whole = (audio: Uint8Array) => ({ audio, closings: [SILENCE], doneIsLast: true });

describe('echo messages', () => {
  it('E1: five frames of 20 ms: their 4800 B in messages of at most 4096 characters (Pipecat: one of 6604)', async () => {
    const world = await audioWorld('echo', { conversationId: 'c123456789abcdef0' });
    const frames = a(5);
    world.feed(...frames);
    await world.clock.pass(0);
    const echoes = world.echoes();
    expect(joined(echoes.map((echo) => echo.audio))).toEqual(audioOf(frames));
    expect(echoes.map(({ done, rate, conversationId }) => ({ done, rate, conversationId }))).toEqual(
      echoes.map(() => ({ done: false, rate: 24_000, conversationId: 'c123456789abcdef0' })),
    );
    expect(new Set(echoes.map((echo) => echo.id)).size).toBe(1);
    expect(Math.max(...echoes.map((echo) => echo.jsonLength))).toBeLessThanOrEqual(4_096);
    // The first is small, so that the avatar starts early; the second as large as the room allows.
    expect(echoes).toHaveLength(3);
    expect(echoes[0]?.audio.byteLength).toBe(960);
    expect(echoes[1]?.jsonLength).toBeGreaterThan(4_096 - 8);
    await world.end();
  });

  it('E1: frames that come in real time go at once, none waits for 100 ms to be full', async () => {
    const world = await audioWorld('echo');
    for (const each of a(5)) {
      world.feed(each);
      await world.clock.pass(20);
    }
    expect(world.echoes().map((echo) => [echo.atMs, echo.audio.byteLength])).toEqual([
      [0, 960],
      [20, 960],
      [40, 960],
      [60, 960],
      [80, 960],
    ]);
    await world.end();
  });

  it('E2: tts-stopped closes with 40 ms of silence and done=true under the same id, and is forwarded (Pipecat swallows it)', async () => {
    const world = await audioWorld('echo');
    const frames = a(3);
    world.feed(...frames, { ...stopped, context: 'x' });
    await world.clock.pass(0);
    expect(world.echoes().map((echo) => echo.done)).toEqual([false, false, true]);
    expect(utterances(world.echoes())).toEqual([whole(audioOf(frames))]);
    expect(world.of('tts-stopped')).toEqual([{ type: 'tts-stopped', context: 'x' }]);
    await world.end();
  });

  it('E3: one frame of 250 ms is sent whole, in order, and closed', async () => {
    const world = await audioWorld('echo');
    const long = sound(250);
    world.feed(long, stopped);
    await world.clock.pass(0);
    expect(utterances(world.echoes())).toEqual([whole(long.audio)]);
    expect(world.echoes().every((echo) => echo.rate === 24_000 && echo.jsonLength <= 4_096)).toBe(true);
    await world.end();
  });

  it('E4: tts-stopped without an utterance sends nothing', async () => {
    const world = await audioWorld('echo');
    world.feed(stopped, stopped);
    await world.clock.pass(5_000);
    expect(world.room.sent).toEqual([]);
    await world.end();
  });

  it('E5: an utterance without tts-stopped is closed 3 s after its last sound', async () => {
    const world = await audioWorld('echo');
    const [only = sound(20)] = a(1);
    world.feed(only);
    await world.clock.pass(2_999);
    expect(world.echoes().map((echo) => [echo.atMs, echo.done])).toEqual([[0, false]]); // Pipecat sends even this only now
    await world.clock.pass(1);
    expect(world.echoes().map((echo) => [echo.atMs, echo.done])).toEqual([
      [0, false],
      [3_000, true],
    ]);
    expect(utterances(world.echoes())).toEqual([whole(only.audio)]);
    expect(await world.end()).toEqual({ timersLeft: 0, errors: [] });
  });

  it('E5: what the resampler still holds is said before the end, and not with the next utterance', async () => {
    const world = await audioWorld('echo');
    world.feed(sound(100, 7, 16_000));
    await world.clock.pass(3_000);
    const [first] = utterances(world.echoes());
    expect(first?.audio.byteLength).toBe(100 * 48); // 100 ms at 24 kHz, to the last sample
    const before = world.echoes().length;
    world.feed({ type: 'tts-started' }, ...a(1), stopped);
    await world.clock.pass(100);
    expect(
      world
        .echoes()
        .slice(before)
        .map((echo) => [echo.audio.byteLength, echo.done]),
    ).toEqual([
      [960, false],
      [1_920, true],
    ]);
    await world.end();
  });

  it('E5: a room that takes long to confirm is no pause in speech: the utterance keeps its id', async () => {
    const world = await audioWorld('echo');
    const frames = a(4);
    world.feed(...frames.slice(0, 1));
    await world.clock.pass(1_000);
    world.room.sendMs = 2_500;
    world.feed(...frames.slice(1, 2));
    await world.clock.pass(2_200); // 3.2 s after the first message; the second is still on its way
    world.room.sendMs = 0;
    world.feed(...frames.slice(2), stopped);
    await world.clock.pass(1_000);
    expect(utterances(world.echoes())).toEqual([whole(audioOf(frames))]);
    expect(await world.end()).toEqual({ timersLeft: 0, errors: [] });
  });

  it('E5: an utterance whose last message was refused is closed all the same', async () => {
    const world = await audioWorld('echo');
    const [heard = sound(20), lost = sound(20)] = a(2);
    world.feed(heard);
    await world.clock.pass(20);
    world.room.maxMessageLength = 10;
    world.feed(lost);
    await world.clock.pass(1_000);
    world.room.maxMessageLength = 4_096;
    await world.clock.pass(3_000);
    expect(utterances(world.echoes())).toEqual([whole(heard.audio)]);
    await world.end();
  });

  it('E6: two utterances have two ids and two closings', async () => {
    const world = await audioWorld('echo');
    const [one, two] = [a(5, 1), a(5, 2)];
    world.feed(...one, stopped, ...two, stopped);
    await world.clock.pass(0);
    expect(utterances(world.echoes())).toEqual([whole(audioOf(one)), whole(audioOf(two))]);
    const closings = world.echoes().flatMap((echo, i) => (echo.done ? [i] : []));
    expect(closings).toEqual([3, 7]); // the second utterance begins after the first is closed
    await world.end();
  });

  it('E7: a gap of 1 s without tts-stopped keeps the id', async () => {
    const world = await audioWorld('echo');
    const [one, two] = [a(5, 1), a(5, 2)];
    world.feed(...one);
    await world.clock.pass(1_000);
    world.feed(...two, stopped);
    await world.clock.pass(0);
    expect(utterances(world.echoes())).toEqual([whole(audioOf([...one, ...two]))]);
    await world.end();
  });

  it('E8: an interruption drops what waits, closes nothing, and silences the user room before the replica is told', async () => {
    const world = await audioWorld('echo');
    const frames = a(7);
    world.feed(...frames.slice(0, 5));
    await world.clock.pass(0);
    world.room.sendMs = 1_000;
    world.feed(...frames.slice(5, 6)); // on its way when the interruption comes
    world.avatarSpeaks(true);
    await world.clock.pass(50);
    world.feed(...frames.slice(6)); // waits
    world.room.sendMs = 30;
    world.log.length = 0;
    world.feed(interruption);
    expect(world.log[0]).toBe('mute');
    await world.clock.pass(29);
    expect(world.log).toEqual(['mute', 'interrupt']);
    world.avatarSpeaks(false);
    await world.clock.pass(1);
    expect(world.log.filter((entry) => !entry.startsWith('bot-'))).toEqual([
      'mute',
      'interrupt',
      'interrupted',
      'unmute',
    ]);
    expect(world.of('interrupted')).toEqual([{ type: 'interrupted', playedMs: 50, droppedMs: 90 }]);
    const [again = sound(20)] = a(1, 2);
    world.feed(again, stopped);
    await world.clock.pass(10_000);
    expect(utterances(world.echoes())).toEqual([
      { audio: audioOf(frames.slice(0, 5)), closings: [], doneIsLast: false }, // never a `done`, not after 3 s either
      whole(again.audio),
    ]);
    expect(await world.end()).toEqual({ timersLeft: 0, errors: [] });
  });

  it('E9: audio that comes while the interrupt is on its way is sent after it was confirmed (Pipecat loses it)', async () => {
    const world = await audioWorld('echo');
    world.feed(...a(5));
    await world.clock.pass(0);
    world.room.sendMs = 100;
    world.log.length = 0;
    world.feed(interruption);
    const fresh = a(3, 2);
    for (const each of fresh) {
      await world.clock.pass(20);
      world.feed(each);
    }
    world.feed(stopped);
    await world.clock.pass(39);
    expect(world.log).toEqual(['interrupt']);
    world.room.sendMs = 0;
    await world.clock.pass(1);
    expect(world.log.filter((entry) => entry !== 'unmute')).toEqual([
      'interrupt',
      'interrupted',
      'tts-started',
      'tts-stopped',
      'echo 960',
      'echo 1920',
      'echo 1920 done',
    ]);
    expect(utterances(world.echoes())[1]).toEqual(whole(audioOf(fresh)));
    expect(world.of('frames-dropped')).toEqual([]);
    await world.end();
  });

  it('E10: seven frames of 32 ms: all 10 752 B are sent, none is left behind', async () => {
    const world = await audioWorld('echo');
    const frames = Array.from({ length: 7 }, (_, i) => sound(32, i + 1));
    for (const each of frames) {
      world.feed(each);
      await world.clock.pass(32);
    }
    expect(joined(world.echoes().map((echo) => echo.audio))).toEqual(audioOf(frames));
    expect(new Set(world.echoes().map((echo) => echo.id)).size).toBe(1);
    expect(world.service.bufferedMs).toBe(0);
    await world.end();
  });

  it('E11: sound at 24 kHz is not touched; any other rate is sent as 24 kHz', async () => {
    const world = await audioWorld('echo');
    const native = sound(60, 7);
    world.feed(native, stopped, sound(60, 8, 16_000), stopped);
    await world.clock.pass(0);
    const [first, second] = utterances(world.echoes());
    expect(first).toEqual(whole(native.audio));
    expect(second?.audio.byteLength).toBe(60 * 48);
    expect(new Set(world.echoes().map((echo) => echo.rate))).toEqual(new Set([24_000]));
    await world.end();
  });

  it('E12: a message that the room refuses is sent again, and nothing of it is lost (Pipecat ignores the error)', async () => {
    const world = await audioWorld('echo');
    const frames = a(3);
    world.room.failures.set('send', new FleetError('message-refused', 'Not now.'));
    world.feed(...frames, stopped);
    await world.clock.pass(100);
    expect(world.log.filter((entry) => entry === 'echo 960')).toHaveLength(2);
    expect(utterances(world.echoes())).toEqual([whole(audioOf(frames))]);
    expect([...world.of('error'), ...world.of('frames-dropped')]).toEqual([]);
    await world.end();
  });

  it('E12: after the third try it is counted and told, and the next message goes on', async () => {
    const world = await audioWorld('echo');
    const [lost = sound(20), kept = sound(20)] = a(2);
    world.room.maxMessageLength = 10;
    world.feed(lost);
    await world.clock.pass(1_000);
    expect(world.log.filter((entry) => entry === 'echo 960')).toHaveLength(3);
    expect(world.of('error')).toMatchObject([{ code: 'message-refused', fatal: false }]);
    expect(world.of('frames-dropped')).toEqual([{ type: 'frames-dropped', count: 1, ms: 20, why: 'refused' }]);
    world.room.maxMessageLength = 4_096;
    world.feed(kept, stopped);
    await world.clock.pass(0);
    expect(utterances(world.echoes())).toEqual([whole(kept.audio)]);
    expect(world.service.bufferedMs).toBe(0);
    await world.end();
  });

  it('E13: frames of 40 ms in real time: messages as they come, then 40 ms of silence with done=true', async () => {
    const world = await audioWorld('echo');
    const frames = [1, 2, 3].map((seed) => sound(40, seed));
    for (const each of frames) {
      world.feed(each);
      await world.clock.pass(40);
    }
    world.feed(stopped);
    await world.clock.pass(0);
    expect(world.echoes().map((echo) => [echo.atMs, echo.audio.byteLength, echo.done])).toEqual([
      [0, 960, false], // the first message of an utterance is small
      [0, 960, false],
      [40, 1920, false],
      [80, 1920, false],
      [120, 1920, true],
    ]);
    expect(utterances(world.echoes())).toEqual([whole(audioOf(frames))]);
    await world.end();
  });
});

describe('what settings do to it', () => {
  it('echoChunkMs: no piece is longer, from the next message on; null takes it back', async () => {
    const world = await audioWorld('echo', { maxMessageLength: 65_536 });
    const update = (echoChunkMs: number | null): void =>
      world.feed({ type: 'settings-update', settings: { extra: { echoChunkMs } } });
    update(50);
    const frames = [sound(500), sound(500)];
    world.feed(frames[0] ?? sound(1));
    await world.clock.pass(0);
    expect(world.echoes().map((echo) => echo.audio.byteLength)).toEqual([
      960,
      ...Array.from({ length: 9 }, () => 2_400),
      1_440,
    ]);
    update(null);
    const before = world.echoes().length;
    world.feed(frames[1] ?? sound(1));
    await world.clock.pass(0);
    expect(
      world
        .echoes()
        .slice(before)
        .map((echo) => echo.audio.byteLength),
    ).toEqual([24_000]);
    expect(joined(world.echoes().map((echo) => echo.audio))).toEqual(audioOf(frames));
    await world.end();
  });

  it('audioPacing paced: never more than half a second ahead of what is heard, all of it in the end; an interruption cuts the wait', async () => {
    const world = await audioWorld('echo');
    world.feed({ type: 'settings-update', settings: { extra: { audioPacing: 'paced' } } });
    const frame = sound(3_000);
    const startedAt = world.clock.now();
    world.feed(frame);
    for (let at = 0; at <= 3_000; at += 100) {
      const sentMs = joined(world.echoes().map((echo) => echo.audio)).byteLength / 48;
      expect(sentMs - (world.clock.now() - startedAt)).toBeLessThanOrEqual(500);
      await world.clock.pass(100);
    }
    expect(joined(world.echoes().map((echo) => echo.audio))).toEqual(audioOf([frame]));
    world.feed(sound(3_000));
    await world.clock.pass(100);
    world.feed({ type: 'interruption' });
    await world.clock.pass(1_000);
    const before = world.echoes().length;
    const next = sound(40);
    world.feed({ type: 'tts-started' }, next, stopped);
    await world.clock.pass(0);
    expect(
      joined(
        world
          .echoes()
          .slice(before)
          .filter(({ done }) => !done)
          .map((echo) => echo.audio),
      ),
    ).toEqual(audioOf([next]));
    expect(await world.end()).toEqual({ timersLeft: 0, errors: [] });
  });
});
