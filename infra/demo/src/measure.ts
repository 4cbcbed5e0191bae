import type { ListenerReport, Picture } from '@tavus-fleet/testkit';
import { correlate, correlationAt } from '@tavus-fleet/testkit/signals';

const RATE = 24_000;

/** How one utterance arrived. */
export type Heard = {
  /** Mean of the blocks' correlations, weighted by their energy: 1 = every block is there as it was sent. */
  readonly correlation: number;
  /** When its first sound arrived, ms since 1970. */
  readonly firstSoundAtMs: number;
  /** How far the sound was moved against itself on the way, ms: what buffers along the way stretched or cut. */
  readonly movedMs: number;
};

const BLOCK_MS = 100;
const START_MS = 600;
// A jitter buffer stretches by a few ms at a time; a gap moves everything behind it by its length.
const NEAR_MS = 15;
const FAR_MS = 400;

/**
 * Follows an utterance through what was heard, block by block, as a jitter buffer may move sound a little. Silent blocks of it
 * say nothing and are left out. Blocks that are nowhere near where they belong count with what is there.
 */
export function heardOf(report: ListenerReport, sent: Int16Array, fromMs: number, toMs: number): Heard {
  const heard = report.heard.subarray(report.sampleAt(fromMs), report.sampleAt(toMs));
  const first = firstSound(sent);
  const beginning = sent.subarray(first, first + samplesIn(START_MS));
  const start = correlate(beginning, heard, beginning.length);
  const lags: number[] = [];
  let lag = start.lagSamples - first;
  let sum = 0;
  let weights = 0;
  const length = samplesIn(BLOCK_MS);
  for (let at = first; at + length <= sent.length; at += length) {
    const energy = energyOf(sent, at, length);
    if (energy < length * 200 ** 2) continue;
    let best = search(sent, at, heard, lag, length, samplesIn(NEAR_MS));
    if (best.correlation < 0.7) best = search(sent, at, heard, lag, length, samplesIn(FAR_MS));
    if (best.correlation >= 0.7) {
      lag = best.lag;
      lags.push(lag);
    }
    sum +=
      (best.correlation >= 0.7 ? subSampleCorrelation(sent, at, heard, at + best.lag, length) : best.correlation) *
      energy;
    weights += energy;
  }
  return {
    correlation: weights === 0 ? 0 : sum / weights,
    firstSoundAtMs: report.heardAt(report.sampleAt(fromMs) + start.lagSamples),
    movedMs: msOf(Math.max(...lags) - Math.min(...lags)),
  };
}

function search(
  sent: Int16Array,
  at: number,
  heard: Int16Array,
  lag: number,
  length: number,
  reach: number,
): { lag: number; correlation: number } {
  let best = { lag, correlation: correlationAt(sent, at, heard, at + lag, length) };
  for (let off = -reach; off <= reach && best.correlation < 0.995; off += 1) {
    const correlation = correlationAt(sent, at, heard, at + lag + off, length);
    if (correlation > best.correlation) best = { lag: lag + off, correlation };
  }
  return best;
}

/**
 * Correlation that is blind to a shift of less than a sample: the block is compared with the best mix of what was heard one
 * sample early, in time and one late. Resamplers and jitter buffers shift by fractions; at 4 kHz half a sample alone costs 13 %.
 */
export function subSampleCorrelation(
  sent: Int16Array,
  at: number,
  heard: Int16Array,
  heardAt: number,
  length: number,
): number {
  const shifts = [-1, 0, 1];
  const dot = (a: (i: number) => number, b: (i: number) => number): number => {
    let sum = 0;
    for (let i = 0; i < length; i += 1) sum += a(i) * b(i);
    return sum;
  };
  const x = (i: number): number => sent[at + i] ?? 0;
  const h =
    (shift: number) =>
    (i: number): number =>
      heard[heardAt + i + shift] ?? 0;
  const g = shifts.map((one) => shifts.map((other) => dot(h(one), h(other))));
  const r = shifts.map((one) => dot(x, h(one)));
  const w = solve3(g, r);
  const explained = w.reduce((sum, weight, i) => sum + weight * (r[i] ?? 0), 0);
  const energy = dot(x, x);
  return energy <= 0 || explained <= 0 ? 0 : Math.sqrt(Math.min(1, explained / energy));
}

/** Cramer's rule; zeros where the matrix is singular (silence). */
function solve3(m: number[][], r: number[]): number[] {
  const det = (a: number[][]): number => {
    const [[p = 0, q = 0, s = 0] = [], [t = 0, u = 0, v = 0] = [], [w = 0, y = 0, z = 0] = []] = a;
    return p * (u * z - v * y) - q * (t * z - v * w) + s * (t * y - u * w);
  };
  const whole = det(m);
  if (Math.abs(whole) < 1) return [0, 0, 0];
  return [0, 1, 2].map(
    (column) => det(m.map((row, i) => row.map((value, j) => (j === column ? (r[i] ?? 0) : value)))) / whole,
  );
}

function energyOf(samples: Int16Array, at: number, length: number): number {
  let energy = 0;
  for (let i = at; i < at + length; i += 1) energy += (samples[i] ?? 0) ** 2;
  return energy;
}

/** When the last sound above -40 dBFS was heard in that time, ms since 1970; undefined when it was silent throughout. */
export function lastSoundMs(report: ListenerReport, fromMs: number, toMs: number): number | undefined {
  for (let at = Math.min(report.heard.length, report.sampleAt(toMs)) - 1; at >= report.sampleAt(fromMs); at -= 1) {
    if (Math.abs(report.heard[at] ?? 0) > 327) return report.heardAt(at);
  }
  return undefined;
}

export type PictureFigures = {
  readonly fps: number;
  readonly latencyMs: number;
  readonly longestGapMs: number;
  readonly mouth: number;
};

/** Pictures of a time span: rate, latency by the clock in the picture (median), longest standstill, mean mouth opening (0–1). */
export function picturesOf(pictures: readonly Picture[], fromMs: number, toMs: number): PictureFigures {
  const seen = pictures.filter((picture) => picture.atMs >= fromMs && picture.atMs < toMs);
  const fresh = seen.filter((picture, at) => at === 0 || picture.frame !== seen[at - 1]?.frame);
  const gaps = fresh.slice(1).map((picture, at) => picture.atMs - (fresh[at]?.atMs ?? picture.atMs));
  const latencies = fresh.map((picture) => picture.atMs - picture.clockMs).toSorted((a, b) => a - b);
  const mean = fresh.reduce((sum, picture) => sum + picture.mouth, 0) / Math.max(1, fresh.length);
  return {
    fps: (fresh.length * 1000) / Math.max(1, toMs - fromMs),
    latencyMs: latencies[latencies.length >> 1] ?? Number.NaN,
    longestGapMs: Math.max(0, ...gaps),
    mouth: mean,
  };
}

/** Speech begins after its leading silence: index of the first sample that counts as sound. */
export function firstSound(samples: Int16Array): number {
  return Math.max(
    0,
    samples.findIndex((sample) => Math.abs(sample) > 655),
  );
}

export const msOf = (samples: number): number => (samples * 1000) / RATE;
const samplesIn = (ms: number): number => Math.round((ms * RATE) / 1000);
