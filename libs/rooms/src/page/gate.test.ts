import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Gate } from './gate.ts';

const RATE = 48_000;
const FRAME = RATE / 100;

/** What Chromium's class would take: kept to be looked at. */
class TakenAudio {
  readonly samples: Float32Array;
  readonly timestamp: number;
  constructor({ data, timestamp }: { data: Float32Array; timestamp: number }) {
    this.samples = data;
    this.timestamp = timestamp;
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
  vi.stubGlobal('AudioData', TakenAudio);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function setup(open = true): { gate: Gate; written: TakenAudio[]; frame: (value?: number) => void } {
  const written: TakenAudio[] = [];
  const writable = new WritableStream<TakenAudio>(
    { write: (data) => void written.push(data) },
    { highWaterMark: 1_000 },
  );
  // The stub stands in for AudioData wherever the gate makes one.
  const gate = new Gate(writable as unknown as WritableStream<AudioData>, open);
  return { gate, written, frame: (value = 0.5) => gate.pass(new Float32Array(FRAME).fill(value), RATE) };
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

describe('Gate', () => {
  it('passes every frame as it is, with times that follow each other', async () => {
    const { written, frame } = setup();
    for (let at = 1; at <= 3; at += 1) {
      vi.advanceTimersByTime(10);
      frame(at / 10);
    }
    await settle();
    expect(written.map(({ samples }) => samples[FRAME - 1]?.toFixed(1))).toEqual(['0.1', '0.2', '0.3']);
    expect(written.map(({ timestamp }) => timestamp)).toEqual([0, 10_000, 20_000]);
  });

  it('closes and opens within 10 ms, without a step, and goes on sending', async () => {
    const { gate, written, frame } = setup();
    frame();
    gate.open = false;
    for (let at = 0; at < 2; at += 1) {
      vi.advanceTimersByTime(10);
      frame();
    }
    gate.open = true;
    vi.advanceTimersByTime(10);
    frame();
    await settle();
    expect(written.map(({ samples }) => samples[FRAME - 1]?.toFixed(3))).toEqual(['0.500', '0.000', '0.000', '0.500']);
    const steps = written.flatMap(({ samples }) =>
      [...samples.subarray(1)].map((one, i) => Math.abs(one - (samples[i] ?? 0))),
    );
    expect(Math.max(...steps)).toBeLessThan(0.01);
  });

  it('is silent when our process was not heard of for 2 s, and speaks again when it is', async () => {
    const { gate, written, frame } = setup();
    gate.beat();
    vi.advanceTimersByTime(1_990);
    frame();
    vi.advanceTimersByTime(20);
    frame();
    vi.advanceTimersByTime(10);
    frame();
    gate.beat();
    vi.advanceTimersByTime(10);
    frame();
    await settle();
    expect(written.map(({ samples }) => samples[FRAME - 1]?.toFixed(3))).toEqual(['0.500', '0.000', '0.000', '0.500']);
  });

  it('sends silence in the place of frames that do not come, and leaves out those that come after it from a queue', async () => {
    const { gate, written, frame } = setup();
    frame();
    vi.advanceTimersByTime(390);
    gate.tick();
    vi.advanceTimersByTime(20);
    await settle();
    expect(written).toHaveLength(1);
    gate.tick();
    vi.advanceTimersByTime(100);
    await settle();
    expect(written).toHaveLength(1 + 5);
    for (let at = 0; at < 15; at += 1) frame(0.25);
    await settle();
    // One that could not be told from a fresh one, ten left out for 100 ms of silence, and the rest.
    expect(written).toHaveLength(6 + 5);
    vi.advanceTimersByTime(10);
    frame();
    await settle();
    expect(written).toHaveLength(12);
  });

  it('leaves nothing out of what comes in its own time after silence', async () => {
    const { gate, written, frame } = setup();
    vi.advanceTimersByTime(500);
    gate.tick();
    vi.advanceTimersByTime(1_000);
    await settle();
    const silence = written.length;
    expect(silence).toBe(50);
    for (let at = 0; at < 20; at += 1) {
      frame();
      vi.advanceTimersByTime(10);
    }
    await settle();
    expect(written).toHaveLength(silence + 20);
  });

  it.each([
    { when: 'what is said has been quiet for 220 ms', soundMs: 200, maxMs: 1_000, closedMs: 420 },
    { when: 'nothing is said', soundMs: 0, maxMs: 1_000, closedMs: 220 },
    { when: 'it goes on for too long', soundMs: 2_000, maxMs: 500, closedMs: 500 },
  ])('closed when quiet: when $when', async ({ soundMs, maxMs, closedMs }) => {
    const { gate, written, frame } = setup();
    let done = 0;
    const from = performance.now();
    frame();
    gate.closeWhenQuiet(maxMs, () => (done ||= performance.now() - from));
    for (let at = 0; at < 1_500; at += 10) {
      vi.advanceTimersByTime(10);
      frame(at < soundMs ? 0.5 : 0.001);
    }
    await settle();
    expect(Math.abs(done - closedMs)).toBeLessThanOrEqual(20);
    expect(written.at(-1)?.samples[FRAME - 1]).toBe(0);
  });

  it('closed when quiet: also when the track stops giving anything, and when it is closed first', () => {
    const silent = setup();
    let done = 0;
    silent.gate.closeWhenQuiet(1_000, () => (done += 1));
    vi.advanceTimersByTime(300);
    silent.gate.tick();
    const closed = setup();
    closed.gate.closeWhenQuiet(1_000, () => (done += 1));
    closed.gate.close();
    expect(done).toBe(2);
  });

  it('closes once, and takes nothing afterwards', async () => {
    const { gate, written, frame } = setup();
    gate.close();
    gate.close();
    frame();
    vi.advanceTimersByTime(1_000);
    gate.tick();
    vi.advanceTimersByTime(1_000);
    await settle();
    expect(written).toEqual([]);
  });
});
