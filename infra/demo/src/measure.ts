import type { ListenerReport, Picture } from '@tavus-fleet/testkit';
import { correlate } from '@tavus-fleet/testkit/signals';

const RATE = 24_000;

/** How well a part of what was sent is found in what was heard, and when its first sample arrived (ms since 1970). */
export function heardOf(report: ListenerReport, sent: Int16Array, fromMs: number, toMs: number): { correlation: number; firstAtMs: number } {
  const from = report.sampleAt(fromMs);
  const heard = report.heard.subarray(from, report.sampleAt(toMs));
  const { correlation, lagSamples } = correlate(sent, heard);
  return { correlation, firstAtMs: report.heardAt(from + lagSamples) };
}

/** When the last sound above -40 dBFS was heard in that time, ms since 1970; undefined when it was silent throughout. */
export function lastSoundMs(report: ListenerReport, fromMs: number, toMs: number): number | undefined {
  for (let at = Math.min(report.heard.length, report.sampleAt(toMs)) - 1; at >= report.sampleAt(fromMs); at -= 1) {
    if (Math.abs(report.heard[at] ?? 0) > 327) return report.heardAt(at);
  }
  return undefined;
}

export type PictureFigures = { readonly fps: number; readonly latencyMs: number; readonly longestGapMs: number; readonly mouth: number };

/** Pictures of a time span: rate, latency by the clock in the picture (median), longest standstill, mean mouth opening (0–1). */
export function picturesOf(pictures: readonly Picture[], fromMs: number, toMs: number): PictureFigures {
  const seen = pictures.filter((picture) => picture.atMs >= fromMs && picture.atMs < toMs);
  const fresh = seen.filter((picture, at) => at === 0 || picture.frame !== seen[at - 1]?.frame);
  const gaps = fresh.slice(1).map((picture, at) => picture.atMs - (fresh[at]?.atMs ?? picture.atMs));
  const latencies = fresh.map((picture) => picture.atMs - picture.clockMs).toSorted((a, b) => a - b);
  const mean = fresh.reduce((sum, picture) => sum + picture.mouth, 0) / Math.max(1, fresh.length);
  return { fps: (fresh.length * 1000) / Math.max(1, toMs - fromMs), latencyMs: latencies[latencies.length >> 1] ?? Number.NaN, longestGapMs: Math.max(0, ...gaps), mouth: mean };
}

/** Speech begins after its leading silence: index of the first sample that counts as sound. */
export function firstSound(samples: Int16Array): number {
  return Math.max(0, samples.findIndex((sample) => Math.abs(sample) > 655));
}

export const msOf = (samples: number): number => (samples * 1000) / RATE;
