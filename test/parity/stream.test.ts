import { chunkBytes } from '@tavus-fleet/audio';
import { describe, expect, it } from 'vitest';
import {
  audioOf,
  audioWorld,
  frame,
  interruption,
  joined,
  ParityChunks,
  pcm,
  sound,
  stopped,
} from './fixtures/audio-world.ts';

/** Frames of 20 ms, each with sound of its own. */
const a = (count: number, seed = 1, rate = 24_000) =>
  Array.from({ length: count }, (_, i) => sound(20, seed * 100 + i, rate));
const C = 1920;

/** Pushes frame by frame; answers chunks and bytes left after each. */
function play(frames: readonly ReturnType<typeof frame>[], chunks = new ParityChunks()) {
  const counts: number[] = [];
  const left: number[] = [];
  for (const each of frames) {
    counts.push(chunks.push(each));
    left.push(chunks.left);
  }
  return { counts, left, chunks };
}

describe('chunks of 40 ms', () => {
  it('S1: three frames of 20 ms make one chunk with the second; 960 B wait until tts-stopped', () => {
    const frames = a(3);
    const { counts, left, chunks } = play(frames);
    expect(counts).toEqual([0, 1, 0]);
    expect(left).toEqual([960, 0, 960]);
    expect(chunks.chunks).toEqual([audioOf(frames).slice(0, C)]);
  });

  it('S2: five frames of 20 ms make a chunk with the second and one with the fourth', () => {
    const { counts, left } = play(a(5));
    expect(counts).toEqual([0, 1, 0, 1, 0]);
    expect(left.at(-1)).toBe(960);
  });

  it('S3: one frame of 100 ms makes two chunks', () => {
    const { counts, left } = play([sound(100)]);
    expect([counts, left]).toEqual([[2], [960]]);
  });

  it('S4: one frame of 1 s makes 25 chunks and leaves nothing', () => {
    const second = sound(1_000);
    const { counts, left, chunks } = play([second]);
    expect([counts, left]).toEqual([[25], [0]]);
    expect(joined(chunks.chunks)).toEqual(second.audio);
  });

  it('S5: 39 ms make no chunk until tts-stopped', () => {
    const { counts, left, chunks } = play([sound(39)]);
    expect([counts, left]).toEqual([[0], [1872]]);
    expect(chunks.stopped()).toBe(1);
    expect(chunks.left).toBe(0);
  });

  it('S6: frames of 32 ms come out one behind', () => {
    const { counts, left } = play(Array.from({ length: 5 }, (_, i) => sound(32, i + 1)));
    expect(counts).toEqual([0, 1, 1, 1, 1]);
    expect(left).toEqual([1536, 1152, 768, 384, 0]);
  });

  it('S7: 10 ms make no chunk', () => {
    const { counts, left } = play([sound(10)]);
    expect([counts, left]).toEqual([[0], [480]]);
  });

  it('S8: tts-stopped fills the last chunk with silence (Pipecat keeps its 20 ms for the next utterance)', () => {
    const frames = a(3);
    const { chunks } = play(frames);
    expect(chunks.stopped()).toBe(1);
    expect(chunks.left).toBe(0);
    expect(joined(chunks.chunks)).toEqual(joined([audioOf(frames), new Uint8Array(960)]));
  });

  it('S9: two utterances never share a chunk: two each, the second of each filled up (Pipecat mixes them)', () => {
    const [one, two] = [a(3, 1), a(3, 2)];
    const { chunks } = play(one);
    chunks.stopped();
    expect(play(two, chunks).counts).toEqual([0, 1, 0]);
    expect(chunks.stopped()).toBe(1);
    const silence = new Uint8Array(960);
    expect(chunks.chunks.map((chunk) => chunk.byteLength)).toEqual([C, C, C, C]);
    expect(joined(chunks.chunks)).toEqual(joined([audioOf(one), silence, audioOf(two), silence]));
  });

  it('S10: an interruption clears what waits for its chunk, and what waits to be resampled (Pipecat keeps both)', () => {
    const { chunks } = play([...a(3), sound(5, 9, 16_000)]);
    chunks.interrupted();
    expect(chunks.left).toBe(0);
    expect(chunks.stopped()).toBe(0);
  });

  it('S11: the frame after an interruption completes no chunk: 960 B of it wait (Pipecat puts 20 ms of stale sound before it)', () => {
    const { chunks } = play(a(3));
    chunks.interrupted();
    const [fresh = sound(20)] = a(1, 2);
    expect(play([fresh], chunks)).toMatchObject({ counts: [0], left: [960] });
    chunks.stopped();
    expect(chunks.chunks.at(-1)).toEqual(joined([fresh.audio, new Uint8Array(960)]));
  });

  it('S12: frames of 961 B stay aligned to samples: the odd byte goes to the next frame (in Pipecat they turn into noise)', () => {
    const source = pcm(4 * 961);
    const { counts, left, chunks } = play([0, 1, 2, 3].map((i) => frame(source.slice(i * 961, (i + 1) * 961))));
    expect(counts).toEqual([0, 1, 0, 1]);
    expect(left).toEqual([960, 2, 962, 4]); // whole samples only
    chunks.stopped();
    expect(joined(chunks.chunks).slice(0, source.byteLength)).toEqual(source);
  });

  it.each([
    { id: 'S13', rate: 16_000 },
    { id: 'S14', rate: 44_100 },
  ])(
    '$id: twelve frames of 20 ms at $rate Hz are 240 ms after the flush (Pipecat holds up to 76 ms back)',
    ({ rate }) => {
      const { chunks } = play(a(12, 1, rate));
      chunks.stopped();
      expect(chunks.chunks.map((chunk) => chunk.byteLength)).toEqual([C, C, C, C, C, C]); // 5760 samples, nothing to fill up
    },
  );

  it('S15: a pause of 0.3 s inside an utterance loses nothing (Pipecat forgets 62.5 ms)', async () => {
    const world = await audioWorld('stream');
    const [one, two] = [sound(200, 1, 16_000), sound(200, 2, 16_000)];
    world.feed(one);
    await world.clock.pass(300);
    world.feed(two, stopped);
    expect(world.room.written.byteLength).toBe(400 * 48);
    const inOneGo = await audioWorld('stream');
    inOneGo.feed(one, two, stopped);
    expect(world.room.written).toEqual(inOneGo.room.written);
    await Promise.all([world.end(), inOneGo.end()]);
  });

  it('S16: the rate may change as often as it likes (in Pipecat the third rate raises)', () => {
    const { chunks } = play([sound(200), sound(200, 2, 16_000), sound(200, 3, 44_100), sound(200, 4, 8_000)]);
    chunks.stopped();
    expect(chunks.chunks).toHaveLength(20);
    expect(joined(chunks.chunks).slice(0, 9600)).toEqual(sound(200).audio);
  });

  it('S17: at 16 kHz a chunk is 1280 B; 100 ms make two and leave 640 B', () => {
    expect(chunkBytes(16_000)).toBe(1280);
    const { counts, left } = play([sound(100, 1, 16_000)], new ParityChunks(16_000));
    expect([counts, left]).toEqual([[2], [640]]);
  });
});

/** Where ours differs on purpose: the track plays in real time by itself, so that no frame waits for a chunk to be full. */
describe('the track `stream`', () => {
  it('S1-S7: every frame, whatever its length, goes to the room at once and as it is', async () => {
    const world = await audioWorld('stream');
    for (const ms of [20, 20, 20, 100, 39, 32, 10]) {
      const before = world.room.written.byteLength;
      const each = sound(ms, ms);
      world.feed(each);
      expect(world.room.written.slice(before)).toEqual(each.audio);
      await world.clock.pass(ms);
    }
    expect(await world.end()).toEqual({ timersLeft: 0, errors: [] });
  });

  it('S4: a frame of 1 s goes to the room at once; the room plays it at its own pace (Pipecat writes 40 ms every 40 ms)', async () => {
    const world = await audioWorld('stream');
    world.feed({ ...sound(1_000), position: '1' });
    expect(world.log).toEqual(['tts-started', 'write 48000']);
    expect(world.service.bufferedMs).toBe(1_000);
    await world.clock.pass(500);
    expect(world.service.bufferedMs).toBe(500);
    expect(world.log).not.toContain('played 1');
    await world.clock.pass(500);
    expect(world.log.at(-1)).toBe('played 1');
    await world.end();
  });

  it('S8: tts-stopped is pushed on behind the last sample of the utterance', async () => {
    const world = await audioWorld('stream');
    const frames = a(3);
    world.feed({ type: 'tts-started', context: 'x' }, ...frames, { ...stopped, context: 'x' });
    expect(world.log).toEqual(['tts-started', 'write 960', 'write 960', 'write 960', 'tts-stopped']);
    expect(world.of('tts-stopped')).toEqual([{ type: 'tts-stopped', context: 'x' }]);
    expect(world.room.written).toEqual(audioOf(frames));
    await world.end();
  });

  it('S8: what the resampler holds at tts-stopped is played before it is pushed on', async () => {
    const world = await audioWorld('stream');
    world.feed(...a(3, 1, 16_000), stopped);
    expect(world.room.written.byteLength).toBe(60 * 48);
    expect(world.log.at(-1)).toBe('tts-stopped');
    await world.end();
  });

  it('S9: the second utterance begins with its own first sample', async () => {
    const world = await audioWorld('stream');
    const [one, two] = [a(3, 1), a(3, 2)];
    world.feed(...one, stopped);
    const before = world.room.written.byteLength;
    world.feed({ type: 'tts-started' }, ...two);
    expect(before).toBe(2880);
    expect(world.room.written.slice(before)).toEqual(audioOf(two));
    await world.end();
  });

  it('S10: user room silent, queue dropped, replica told; only then new speech (Pipecat lets it overtake the interrupt)', async () => {
    const world = await audioWorld('stream');
    const speech = a(3);
    world.feed(...speech);
    world.avatarSpeaks(true);
    await world.clock.pass(40);
    world.room.sendMs = 50;
    world.log.length = 0;
    world.feed(interruption);
    expect(world.log.find((entry) => entry !== 'bot-started-speaking')).toBe('mute'); // before anything is awaited
    const [fresh = sound(20)] = a(1, 2);
    world.feed(fresh);
    await world.clock.pass(49);
    expect(world.log).toEqual(['mute', 'flush', 'interrupt']); // the replica has not confirmed yet
    world.avatarSpeaks(false);
    await world.clock.pass(1);
    expect(world.log.filter((entry) => !entry.startsWith('bot-'))).toEqual([
      'mute',
      'flush',
      'interrupt',
      'interrupted',
      'unmute',
      'tts-started',
      'write 960',
    ]);
    expect(world.of('interrupted')).toEqual([{ type: 'interrupted', playedMs: 40, droppedMs: 20 }]);
    await world.end();
  });

  it('S11: the frame after an interruption is all that is written (Pipecat writes stale sound before it)', async () => {
    const world = await audioWorld('stream');
    world.feed(...a(3, 1, 16_000)); // so that the resampler holds something, too
    world.feed(interruption);
    await world.clock.pass(0);
    const before = world.room.written.byteLength;
    const [fresh = sound(20)] = a(1, 2);
    world.feed(fresh);
    expect(world.room.written.slice(before)).toEqual(fresh.audio);
    await world.end();
  });

  it('S16: a rate that changes twice inside an utterance is played whole', async () => {
    const world = await audioWorld('stream');
    const first = sound(100);
    world.feed(first, sound(100, 2, 16_000), sound(100, 3, 48_000), stopped);
    expect(world.room.written.byteLength).toBe(300 * 48);
    expect(world.room.written.slice(0, 4800)).toEqual(first.audio);
    expect(world.of('error')).toEqual([]);
    await world.end();
  });
});
