import { describe, expect, it } from 'vitest';
import { peakOf } from './pcm.ts';
import { PARITY_THRESHOLD, SpeechDetector } from './speech-detector.ts';

const CHUNK_MS = 40;

/** Hears chunks of 40 ms by their peaks and answers what happened at which ms. */
function hear(detector: SpeechDetector, peaks: readonly number[], startMs = 0): [number, string][] {
  return peaks.flatMap((peak, i) => {
    const at = startMs + i * CHUNK_MS;
    const crossing = detector.hear(peak, at);
    return crossing ? [[at, crossing] as [number, string]] : [];
  });
}
const chunks = (count: number, peak: number): number[] => Array.from({ length: count }, () => peak);
const parity = (): SpeechDetector => new SpeechDetector({ threshold: PARITY_THRESHOLD });

describe('SpeechDetector', () => {
  it('T1: 20 is silence, 21 is speech', () => {
    expect(hear(parity(), [20])).toEqual([]);
    expect(hear(parity(), [21])).toEqual([[0, 'started']]);
  });

  it('T2: starts with the first loud chunk, stops at the first silent one more than 350 ms after the last loud one', () => {
    expect(hear(parity(), [...chunks(5, 900), ...chunks(12, 0)])).toEqual([
      [0, 'started'],
      [4 * CHUNK_MS + 9 * CHUNK_MS, 'stopped'],
    ]);
  });

  it('T3: 300 ms of silence do not stop it', () => {
    expect(hear(parity(), [...chunks(3, 900), ...chunks(7, 0), ...chunks(3, 900)])).toEqual([[0, 'started']]);
  });

  it('T4: no input at all stops it after 3 s', () => {
    const detector = parity();
    hear(detector, [900]);
    expect(detector.tick(2999)).toBeUndefined();
    expect(detector.tick(3000)).toBe('stopped');
    expect(detector.tick(9000)).toBeUndefined();
  });

  it('T5, T6: an interruption stops it once, and only if it was speaking', () => {
    const detector = parity();
    expect(detector.reset()).toBeUndefined();
    hear(detector, [900]);
    expect(detector.reset()).toBe('stopped');
    expect(detector.reset()).toBeUndefined();
    expect(hear(detector, [900], 40)).toEqual([[40, 'started']]);
  });

  it('takes the noise that a codec leaves for silence, unless parity is asked for', () => {
    const tail = [4000, ...chunks(30, 70)];
    expect(hear(new SpeechDetector(), tail)).toEqual([
      [0, 'started'],
      [360, 'stopped'],
    ]);
    expect(hear(parity(), tail)).toEqual([[0, 'started']]);
  });

  it('takes the lowest sample for loud (Pipecat takes it for silence)', () => {
    expect(peakOf(Int16Array.of(0, -32_768))).toBe(32_768);
  });
});
