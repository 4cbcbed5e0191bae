/**
 * Sounds that prove what was heard: every stretch of them is like no other, so a recording tells which part of the original
 * it is, and what is missing, doubled or mixed. (A plain tone looks the same after losing one period.)
 */
export * from './correlate.ts';
export * from './continuity.ts';

/** A reproducible source of numbers in [0, 1): mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type ChirpWalk = {
  readonly rate: number;
  readonly ms: number;
  readonly seed?: number;
  /** Peak, 0–1. */ readonly amplitude?: number;
};

// Within the telephone band, so that it survives codecs at 8 kHz; a new goal every 8 ms, so that 50 ms of it are unique.
const LOW_HZ = 300;
const HIGH_HZ = 2800;
const GOAL_MS = 8;

/**
 * A tone whose frequency glides to a new random place all the time. Never periodic, of constant loudness, without clicks.
 * The same seed gives the same sound at every rate.
 */
export function chirpWalk(options: ChirpWalk): Int16Array {
  const { rate, ms, seed = 1, amplitude = 0.5 } = options;
  const random = seeded(seed);
  const goal = (): number => LOW_HZ * (HIGH_HZ / LOW_HZ) ** random();
  const samples = new Int16Array(Math.round((rate * ms) / 1000));
  let from = goal();
  let to = goal();
  let leg = 0;
  let phase = 0;
  for (let i = 0; i < samples.length; i += 1) {
    const at = (i * 1000) / rate / GOAL_MS;
    if (at >= leg + 1) {
      from = to;
      to = goal();
      leg += 1;
    }
    phase += (from + (to - from) * (at - leg)) / rate;
    samples[i] = Math.round(Math.sin(2 * Math.PI * phase) * amplitude * 32_767);
  }
  return samples;
}
