import { describe, expect, it } from 'vitest';
import { Resampler } from './resampler.ts';
import { Voice, type VoiceOptions, type VoiceReport } from './voice.ts';

const RATE = 24_000;

function setup(options: Partial<VoiceOptions> = {}) {
  const reports: VoiceReport[] = [];
  const voice = new Voice({ rate: RATE, delayMs: 100, hearing: 'echo', ...options }, (report) => reports.push(report));
  /** Runs `ms` of time in the audio thread's steps; gives what was played. */
  const run = (ms: number, input = 0): Float32Array => {
    const steps = Math.round((ms / 1000) * RATE) / 120;
    const played = new Float32Array(steps * 120);
    for (let i = 0; i < steps; i += 1)
      voice.process(new Float32Array(120).fill(input), played.subarray(i * 120, (i + 1) * 120));
    return played;
  };
  const turns = (): VoiceReport[] => reports.filter(({ kind }) => kind === 'started' || kind === 'stopped');
  return { voice, run, turns, reports };
}

const sound = (ms: number): Float32Array => new Float32Array((ms / 1000) * RATE).fill(0.25);
const loudFrom = (played: Float32Array): number => (played.findIndex((sample) => sample > 0.1) / RATE) * 1000;

describe('echo', () => {
  it('waits for 100 ms of sound, then plays it one delay later', () => {
    const { voice, run } = setup();
    voice.pushEcho('a', sound(50), false);
    expect(loudFrom(run(300))).toBeLessThan(0);
    voice.pushEcho('a', sound(50), false);
    expect(loudFrom(run(300))).toBe(100);
  });

  it('a short utterance that is done needs no waiting, and its events come with the sound', () => {
    const { voice, run, turns } = setup();
    voice.pushEcho('a', sound(50), true);
    run(100);
    expect(turns()).toEqual([]);
    run(5);
    expect(turns()).toEqual([{ kind: 'started', inferenceId: 'a' }]);
    run(100);
    expect(turns()[1]).toEqual({ kind: 'stopped', inferenceId: 'a', seconds: 0.05, interrupted: false });
  });

  it('an interruption silences from the next sample, what the delay held included, and closes the utterance', () => {
    const { voice, run, turns } = setup();
    voice.pushEcho('a', sound(1_000), false);
    expect(run(300).at(-1)).toBeCloseTo(0.25);
    voice.interrupt();
    voice.pushEcho('a', sound(500), true);
    expect(Math.max(...run(500))).toBe(0);
    expect(turns()[1]).toMatchObject({ kind: 'stopped', inferenceId: 'a', interrupted: true });
    voice.pushEcho('b', sound(200), true);
    expect(loudFrom(run(500))).toBe(100);
  });

  it('a new utterance closes the one before: nothing of the two is mixed', () => {
    const { voice, run, turns } = setup();
    voice.pushEcho('a', sound(200), false);
    voice.pushEcho('b', sound(200), true);
    voice.pushEcho('a', sound(200), true);
    run(1_000);
    expect(turns().map((turn) => ('inferenceId' in turn ? `${turn.kind} ${turn.inferenceId}` : ''))).toEqual([
      'started a',
      'stopped a',
      'started b',
      'stopped b',
    ]);
  });

  it('an utterance nobody declares done ends after a second without sound', () => {
    const { voice, run, turns } = setup();
    voice.pushEcho('a', sound(200), false);
    run(1_000);
    expect(turns()).toHaveLength(1);
    run(500);
    expect(turns()[1]).toMatchObject({ kind: 'stopped', interrupted: false });
  });
});

describe('stream', () => {
  it('tells of speech from its energy, with a hangover that does not count', () => {
    const { run, turns } = setup({ hearing: 'stream' });
    run(1_000, 0.1);
    run(1_000, 0);
    expect(turns()).toEqual([
      { kind: 'started', inferenceId: null },
      { kind: 'stopped', inferenceId: null, seconds: expect.closeTo(1, 1), interrupted: false },
    ]);
  });

  it('muted plays nothing and still moves the mouth', () => {
    const { voice, run, reports } = setup({ hearing: 'stream' });
    voice.muted = true;
    expect(Math.max(...run(500, 0.1))).toBe(0);
    expect(reports.some((report) => report.kind === 'level' && report.rms > 0.05)).toBe(true);
  });

  it('records everything it hears on one timeline, silence as a length', () => {
    const { run, reports } = setup({ hearing: 'stream' });
    run(200, 0);
    run(100, 0.5);
    const heard = reports.flatMap((report) => (report.kind === 'heard' ? [report.samples] : []));
    expect(heard.slice(0, 2)).toEqual([2_400, 2_400]);
    expect(heard[2]).toEqual(new Int16Array(2_400).fill(16_384));
  });
});

it('converts sample rates without changing length or loudness', () => {
  const tone = Float32Array.from({ length: 16_000 }, (_, i) => Math.sin((2 * Math.PI * 440 * i) / 16_000));
  const converter = new Resampler(16_000, RATE);
  const parts = [converter.push(tone.subarray(0, 1_000), false), converter.push(tone.subarray(1_000), true)];
  const all = Float32Array.from(parts.flatMap((part) => [...part]));
  expect(Math.abs(all.length - 24_000)).toBeLessThanOrEqual(2);
  const worst = all
    .subarray(100, -100)
    .reduce(
      (most, sample, i) => Math.max(most, Math.abs(sample - Math.sin((2 * Math.PI * 440 * (i + 100)) / RATE))),
      0,
    );
  expect(worst).toBeLessThan(0.01);
});
