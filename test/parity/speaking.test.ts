// Vectors T1 to T8: who speaks, told from the avatar's sound in pieces of 40 ms; and the pace of its pictures.
import { PARITY_THRESHOLD, peakOf, SpeechDetector } from '@tavus-fleet/audio';
import { PicturePace } from '@tavus-fleet/rooms/picture-pace';
import { describe, expect, it } from 'vitest';
import { RoutingWorld } from './fixtures/routing-world.ts';

const CHUNK_MS = 40;
const detector = (): SpeechDetector =>
  new SpeechDetector({ threshold: PARITY_THRESHOLD, stopAfterMs: 350, inputGoneMs: 3_000 });
const chunk = (peak: number): number => peakOf(new Int16Array(960).fill(peak));
const times = (count: number, peak: number): number[] => Array.from({ length: count }, () => peak);

/** Feeds chunks of these peaks, 40 ms apart; answers the crossings with their times. */
function crossings(peaks: readonly number[], one = detector()): [string, number][] {
  return peaks.flatMap((peak, at): [string, number][] => {
    const crossed = one.hear(chunk(peak), at * CHUNK_MS);
    return crossed ? [[crossed, at * CHUNK_MS]] : [];
  });
}

/** The same through a live service; answers what it told the processors about the bot's speech, and when (ms). */
async function told(peaks: readonly number[], thenNothingMs = 0): Promise<[string, number][]> {
  const w = new RoutingWorld();
  await w.live();
  const one = detector();
  const startedAt = w.seconds;
  const cross = (crossed: 'started' | 'stopped' | undefined): void => {
    if (crossed) w.speech(crossed === 'started');
  };
  for (const peak of peaks) {
    cross(one.hear(chunk(peak), w.clock.now()));
    await w.clock.pass(CHUNK_MS);
  }
  for (let ms = 0; ms < thenNothingMs; ms += CHUNK_MS) {
    cross(one.tick(w.clock.now()));
    await w.clock.pass(CHUNK_MS);
  }
  return w.pushed
    .filter(({ frame }) => frame.type.startsWith('bot-'))
    .map(({ frame, at }) => [frame.type, Math.round((at - startedAt) * 1_000)]);
}

describe('speaking state', () => {
  it('T1: a peak of 20 is silence, 21 is speech; the most negative sample is loud (silence for the reference)', async () => {
    expect(crossings([20, -20])).toEqual([]);
    expect(crossings([21])).toEqual([['started', 0]]);
    expect(crossings([-21])).toEqual([['started', 0]]);
    expect(crossings([-32_768])).toEqual([['started', 0]]);
    expect(await told([20])).toEqual([]);
    expect(await told([20, 21])).toEqual([['bot-started-speaking', CHUNK_MS]]);
  });

  it('T2: starts with the first chunk, stops with the first silent one more than 350 ms after the last sound', async () => {
    const peaks = [...times(5, 1_000), ...times(12, 0)];
    expect(crossings(peaks)).toEqual([
      ['started', 0],
      ['stopped', 160 + 360], // the ninth silent chunk
    ]);
    expect(await told(peaks)).toEqual([
      ['bot-started-speaking', 0],
      ['bot-stopped-speaking', 160 + 360],
    ]);
  });

  it('T3: 300 ms of silence inside speech is no stop', async () => {
    const peaks = [...times(5, 1_000), ...times(7, 0), ...times(3, 1_000)];
    expect(crossings(peaks)).toEqual([['started', 0]]);
    expect(await told(peaks)).toEqual([['bot-started-speaking', 0]]);
  });

  it('T4: when nothing comes any more it stops after 3 s', async () => {
    const one = detector();
    crossings(times(3, 1_000), one);
    expect(one.tick(80 + 2_999)).toBeUndefined();
    expect(one.tick(80 + 3_000)).toBe('stopped');
    expect(one.tick(80 + 9_000)).toBeUndefined();
    expect(await told(times(3, 1_000), 9_000)).toEqual([
      ['bot-started-speaking', 0],
      ['bot-stopped-speaking', 80 + 3_000],
    ]);
  });

  it('T5: an interruption while it speaks: what waits is dropped, stale sound is not heard, it stops once', async () => {
    const w = new RoutingWorld();
    await w.live();
    const one = detector();
    w.service.processFrame({ type: 'tts-audio', rate: 24_000, channels: 1, audio: new Uint8Array(96_000).fill(1) });
    expect(one.hear(chunk(1_000), 0)).toBe('started');
    w.speech(true);
    await w.clock.pass(100);
    w.service.processFrame({ type: 'interruption' });
    const muted = (): boolean[] =>
      w.room.calls.flatMap((call) => (call.method === 'muteUserRoom' ? [call.on] : [])).slice(-2);
    expect(muted()).toEqual([true]);
    await w.clock.pass(50);
    expect([one.reset(), one.reset()]).toEqual(['stopped', undefined]);
    w.speech(false);
    await w.clock.pass(1_000);
    expect(muted()).toEqual([true, false]);
    expect(w.of('bot-stopped-speaking')).toHaveLength(1);
    expect(w.service.bufferedMs).toBe(0);
    const [interrupted] = w.of('interrupted');
    expect(interrupted?.playedMs).toBeGreaterThan(0);
    expect((interrupted?.playedMs ?? 0) + (interrupted?.droppedMs ?? 0)).toBeCloseTo(2_000, 0);
  });

  it('T6: an interruption while it is silent drops a held piece as well (the reference keeps it and plays it later)', async () => {
    const w = new RoutingWorld();
    await w.live();
    const half = new Uint8Array(961).fill(9); // 20 ms and half a sample
    w.service.processFrame({ type: 'tts-audio', rate: 24_000, channels: 1, audio: half });
    w.service.processFrame({ type: 'interruption' });
    await w.clock.pass(1_000);
    const before = w.room.written.byteLength;
    const next = new Uint8Array(960).fill(5);
    w.service.processFrame({ type: 'tts-audio', rate: 24_000, channels: 1, audio: next });
    expect(w.room.written.subarray(before)).toEqual(next);
    expect(detector().reset()).toBeUndefined();
    expect(w.of('bot-stopped-speaking')).toEqual([]);
  });
});

describe('pictures', () => {
  const FPS = 30;
  const PERIOD_MS = 1_000 / FPS;

  it('T7: 25 pictures a second into 30: each is shown as it comes, and no delay grows', () => {
    const pace = new PicturePace<number>({ maxFps: FPS });
    const delays: number[] = [];
    for (let at = 0; at < 60_000; at += 40) {
      pace.add(at);
      const waitMs = pace.waitMs(at) ?? 0;
      const picture = pace.take(at + waitMs);
      if (picture !== undefined) delays.push(at + waitMs - picture);
    }
    expect(delays).toHaveLength(1_500);
    expect(pace.dropped).toBe(0);
    expect(Math.max(...delays)).toBeLessThan(PERIOD_MS);
    expect(Math.max(...delays.slice(-100))).toBeLessThanOrEqual(Math.max(...delays.slice(0, 100)));
  });

  it('T7: the schedule begins anew when it is off by more than 166.7 ms', () => {
    const gridAfterPauseOf = (ms: number): number => {
      const pace = new PicturePace<string>({ maxFps: FPS });
      pace.add('first');
      pace.take(0);
      const at = PERIOD_MS + ms; // so far behind the slot that was due
      pace.add('late');
      expect(pace.take(at)).toBe('late');
      pace.add('next');
      return pace.waitMs(at) ?? 0;
    };
    expect(gridAfterPauseOf(160)).toBeCloseTo(6.7, 1); // still the old slots: the sixth
    expect(gridAfterPauseOf(168)).toBeCloseTo(PERIOD_MS); // a whole period from here
  });

  it('T8: 30 pictures at once after a stall of 1 s: only the newest is shown, and nothing behind it is late', () => {
    const pace = new PicturePace<number>({ maxFps: FPS });
    pace.add(-1);
    pace.take(0);
    for (let i = 0; i < 30; i += 1) pace.add(i);
    expect([pace.take(1_000), pace.take(1_000)]).toEqual([29, undefined]);
    expect(pace.dropped).toBe(29);
    const after = Array.from({ length: 90 }, (_, i) => 1_000 + (i + 1) * PERIOD_MS);
    for (const at of after) {
      pace.add(at);
      expect(pace.take(at)).toBe(at);
    }
    expect(pace.dropped).toBe(29);
  });

  it('T8: asked after each of them it shows the first and, a period later, the newest', () => {
    const pace = new PicturePace<number>({ maxFps: FPS });
    pace.add(-1);
    pace.take(0);
    const shown = Array.from({ length: 30 }, (_, i) => {
      pace.add(i);
      return pace.take(1_000);
    }).filter((picture) => picture !== undefined);
    expect(shown).toEqual([0]);
    expect(pace.waitMs(1_000)).toBeCloseTo(PERIOD_MS);
    expect(pace.take(1_000 + PERIOD_MS)).toBe(29);
    expect(pace.dropped).toBe(28);
  });
});
