/* oxlint-disable vitest/no-conditional-expect -- the two modes share their rules and differ in what can be seen */
import { FleetError } from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { FakeRoom } from '@tavus-fleet/rooms';
import { describe, expect, test } from 'vitest';
import { EchoMessages } from './echo-messages.ts';
import type { FrameOut } from './frames.ts';
import { Speech } from './speech.ts';
import { StreamTrack } from './stream-track.ts';

const never = new AbortController().signal;
const audio = (ms: number, position?: string, value = 1) =>
  ({
    type: 'tts-audio',
    rate: 24_000,
    channels: 1,
    audio: new Uint8Array(Buffer.from(new Int16Array(24 * ms).fill(value).buffer)),
    ...(position === undefined ? {} : { position }),
  }) as const;

async function setup(mode: 'stream' | 'echo') {
  const clock = new FakeClock();
  const room = new FakeRoom({ conversationId: 'c', epoch: 1 }, clock);
  await room.join({ url: 'https://tavus.daily.co/x', userName: 'Pipecat' }, never);
  await room.publishStream(never);
  const played: string[] = [];
  const said: FrameOut[] = [];
  const sink = {
    push: (frame: FrameOut) => void said.push(frame),
    played: (position: string | undefined) => void (position !== undefined && played.push(position)),
  };
  const onPlayed = (position: string | undefined): void => sink.played(position);
  const out =
    mode === 'stream'
      ? new StreamTrack(room, clock, onPlayed)
      : new EchoMessages({
          room,
          clock,
          conversationId: 't',
          maxMessageLength: 4096,
          onPlayed,
          sink,
          pacing: () => ({ paced: false, chunkMs: undefined }),
          onSilent: () => speech.giveUpWaiting(),
        });
  const told: string[] = [];
  const speech: Speech = new Speech(out, sink, room, clock, async () => void told.push('interrupt'));
  const of = (type: FrameOut['type']) => said.filter((frame) => frame.type === type);
  return { clock, room, speech, out, played, said, told, of };
}

describe.each(['stream', 'echo'] as const)('speech in %s mode', (mode) => {
  test('positions come in order, never before they are played, and all by the end', async () => {
    const { clock, speech, played } = await setup(mode);
    speech.process({ type: 'tts-started', position: '1' });
    speech.process(audio(1_000, '2'));
    speech.process(audio(1_000, '3'));
    speech.process({ type: 'tts-stopped', position: '4' });
    if (mode === 'stream') {
      expect(played).toEqual(['1']);
      await clock.pass(1_100);
      expect(played).toEqual(['1', '2']);
    }
    const drained = speech.drained(never);
    await clock.pass(5_000);
    await drained;
    expect(played.at(-1)).toBe('4');
    expect(played).toEqual(played.toSorted());
    speech.close();
    expect(clock.pending).toBe(0);
  });

  test('paused, it stands to the sample and goes on there; nothing is lost or said twice', async () => {
    const { clock, room, speech, played, out } = await setup(mode);
    const sound = (ms: number, seed: number, position: string) => {
      const samples = Int16Array.from({ length: 24 * ms }, (_, i) => ((i * 7 + seed) % 30_000) - 15_000);
      return { ...audio(ms, position), audio: new Uint8Array(samples.buffer) };
    };
    const whole = [sound(900, 1, '2'), sound(1_500, 2, '3'), sound(2_000, 3, '4')];
    speech.process({ type: 'tts-started', position: '1' });
    for (const frame of whole) speech.process(frame);
    await clock.pass(1_000);
    const pausing = speech.pause(never);
    await clock.pass(50);
    if (mode === 'stream') expect(room.order.at(-1)).toBe('flush'); // what was played is on its way
    await clock.pass(50);
    await pausing;
    const before = room.calls.length;
    if (mode === 'stream') {
      expect(out.playedSamples).toBe(24 * 1_000);
      expect(played.at(-1)).toBe('2');
      expect(room.order.slice(-2)).toEqual(['flush', 'unpublishStream']);
    }
    await clock.pass(3_000);
    speech.process({ type: 'tts-stopped', position: '5' });
    expect(room.calls.length).toBe(before);
    await speech.resume(never);
    const drained = speech.drained(never);
    await clock.pass(8_000);
    await drained;
    // The end of an utterance lies at its last sample: one place, told once.
    expect(played.filter((position) => position !== '4')).toEqual(['1', '2', '3', '5']);
    if (mode === 'stream') {
      const after = room.calls.slice(before).flatMap((call) => (call.method === 'write' ? [call.pcm] : []));
      const sent = Buffer.concat(whole.map((frame) => frame.audio));
      expect(Buffer.concat(after).equals(sent.subarray(24 * 1_000 * 2))).toBe(true);
    }
    speech.close();
    expect(clock.pending).toBe(0);
  });

  test('interrupted while paused: what waited is dropped, and it goes on with what comes after', async () => {
    const { clock, speech, played, of } = await setup(mode);
    speech.process(audio(3_000, '1', 7));
    await clock.pass(500);
    const pausing = speech.pause(never);
    await clock.pass(100);
    await pausing;
    const interrupting = speech.interrupt(never);
    await clock.pass(1_000);
    await interrupting;
    await speech.resume(never);
    speech.process(audio(100, '2', 9));
    const drained = speech.drained(never);
    await clock.pass(4_000);
    await drained;
    expect(of('interrupted')).toHaveLength(1);
    expect(played.at(-1)).toBe('2');
    speech.close();
  });

  test('an empty utterance followed by another is two, each with its start and stop', async () => {
    const { speech, of } = await setup(mode);
    speech.process({ type: 'tts-started', context: 'a' });
    speech.process({ type: 'tts-stopped', context: 'a' });
    speech.process({ type: 'tts-started', context: 'b' });
    speech.process(audio(100));
    speech.process({ type: 'tts-stopped', context: 'b' });
    expect(of('tts-started')).toHaveLength(2);
    expect(of('tts-stopped')).toHaveLength(2);
    speech.close();
  });

  test('two interruptions in one breath, then speech: all of the new speech is heard, none of the old', async () => {
    const { clock, room, speech, of, told, played } = await setup(mode);
    speech.process({ type: 'tts-started', context: 'first words' });
    speech.process(audio(2_000, '1', 7));
    await clock.pass(500);
    const before = mode === 'stream' ? room.calls.length : room.sent.length;
    void speech.interrupt(never);
    void speech.interrupt(never, 'the second');
    speech.process({ type: 'tts-started', position: '4' });
    speech.process(audio(100, '5', 9));
    speech.mark('6');
    speech.process({ type: 'tts-stopped', position: '7' });
    const drained = speech.drained(never);
    await clock.pass(3_000);
    await drained;
    expect(told).toHaveLength(2);
    expect(of('interrupted')).toEqual([
      { type: 'interrupted', playedMs: 500, droppedMs: 1_500, context: 'first words' },
      { type: 'interrupted', playedMs: 0, droppedMs: 0, by: 'the second' },
    ]);
    if (mode === 'stream') {
      const after = room.calls.slice(before).flatMap((call) => (call.method === 'write' ? [call.pcm] : []));
      expect(Buffer.concat(after)).toEqual(Buffer.from(audio(100, '', 9).audio));
    } else {
      // Safe: only echo messages were sent since.
      const sent = room.sent.slice(before) as { properties: { audio: string; done: boolean } }[];
      const bytes = Buffer.concat(
        sent.filter((each) => !each.properties.done).map((each) => Buffer.from(each.properties.audio, 'base64')),
      );
      expect(bytes).toEqual(Buffer.from(audio(100, '', 9).audio));
    }
    expect(played).toEqual(played.toSorted());
    expect(played.at(-1)).toBe('7');
  });

  test('marks keep their place behind held speech', async () => {
    const { clock, speech, played } = await setup(mode);
    void speech.interrupt(never);
    speech.process(audio(1_000, '5'));
    speech.mark('6');
    expect(played).toEqual([]);
    await clock.pass(5_000);
    expect(played).toEqual(['6']); // one report for both: nothing lies between them
  });

  test('the user room is silent from the interruption until the replica is, bounded', async () => {
    const { clock, room, speech } = await setup(mode);
    const mutes = () => room.calls.flatMap((call) => (call.method === 'muteUserRoom' ? [call.on] : []));
    speech.heard('audio', true);
    void speech.interrupt(never);
    expect(mutes()).toEqual([true]);
    await clock.pass(100);
    void speech.interrupt(never);
    speech.heard('audio', false);
    await clock.pass(0);
    expect(mutes().at(-1)).toBe(false);
    expect(mutes().filter((on) => !on)).toHaveLength(1);
    speech.heard('audio', true);
    void speech.interrupt(never);
    await clock.pass(799);
    expect(mutes().at(-1)).toBe(true);
    await clock.pass(1);
    expect(mutes().at(-1)).toBe(false);
    expect(clock.pending).toBe(0);
  });
});

test('a replica that stops and speaks once more, with what was on its way to it, stays muted', async () => {
  const { clock, room, speech } = await setup('stream');
  const mutes = () => room.calls.flatMap((call) => (call.method === 'muteUserRoom' ? [call.on] : []));
  speech.heard('tavus', true);
  speech.heard('audio', true);
  void speech.interrupt(never);
  await clock.pass(20);
  speech.heard('tavus', false);
  await clock.pass(20);
  speech.heard('tavus', true);
  await clock.pass(400);
  expect(mutes()).toEqual([true]);
  speech.heard('audio', false);
  speech.heard('tavus', false);
  await clock.pass(0);
  expect(mutes()).toEqual([true, false]);
  expect(clock.pending).toBe(0);
});

test('Tavus’ word that the replica stopped counts, though codec noise passes for speech', async () => {
  const { clock, room, speech } = await setup('stream');
  speech.heard('audio', true);
  speech.heard('tavus', true);
  void speech.interrupt(never);
  await clock.pass(10);
  speech.heard('tavus', false);
  await clock.pass(300);
  expect(room.calls.at(-1)).toEqual({ method: 'muteUserRoom', on: false });
});

test('a flush that fails is told, and the user room hears again', async () => {
  const { clock, room, speech, of } = await setup('stream');
  room.failures.set('flush', new FleetError('page-silent', 'no answer'));
  speech.process(audio(500, '1'));
  speech.heard('audio', true);
  void speech.interrupt(never);
  await clock.pass(1_000);
  expect(of('error')).toMatchObject([{ code: 'page-silent', fatal: false }]);
  expect(room.calls.at(-1)).toEqual({ method: 'muteUserRoom', on: false });
});

test('one frame longer than the page’s ring is played whole', async () => {
  const { clock, room, speech, played } = await setup('stream');
  speech.process(audio(20_000, '1'));
  speech.process(audio(100, '2'));
  await clock.pass(25_000);
  expect(room.written.byteLength).toBe(48 * 20_100);
  expect(played).toEqual(['1', '2']);
});

describe('echo messages', () => {
  const messages = (room: FakeRoom) =>
    room.sent as { properties: { inference_id: string; audio: string; done: boolean } }[]; // safe: nothing else is sent
  test('fit the room, share one id per utterance, and end with a done of their own', async () => {
    const { clock, room, speech } = await setup('echo');
    for (const _ of [1, 2]) {
      speech.process(audio(250));
      speech.process({ type: 'tts-stopped' });
    }
    await clock.pass(10);
    const sent = messages(room);
    expect(sent.every((each) => JSON.stringify(each).length <= 4096)).toBe(true);
    expect(Buffer.from(sent[0]?.properties.audio ?? '', 'base64')).toHaveLength(960);
    expect(new Set(sent.map((each) => each.properties.inference_id)).size).toBe(2);
    expect(sent.filter((each) => each.properties.done)).toHaveLength(2);
    expect(sent.at(-1)?.properties.done).toBe(true);
  });

  test('an utterance that is never closed is closed after 3 s', async () => {
    const { clock, room, speech } = await setup('echo');
    speech.process(audio(20));
    await clock.pass(2_999);
    expect(messages(room).some((each) => each.properties.done)).toBe(false);
    await clock.pass(1);
    expect(messages(room).filter((each) => each.properties.done)).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  test('what cannot be sent is counted, and nothing of it is tried again after an interruption', async () => {
    const { clock, room, speech, of } = await setup('echo');
    room.maxMessageLength = 10;
    speech.process(audio(20));
    await clock.pass(2_000);
    expect(of('frames-dropped')).toMatchObject([{ why: 'refused', ms: 20 }]);
    speech.process(audio(20));
    await clock.pass(10);
    void speech.interrupt(never);
    await clock.pass(0);
    const tries = room.sent.length;
    await clock.pass(5_000);
    expect(room.sent).toHaveLength(tries);
    expect(of('frames-dropped')).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });
});
