import { correlate, correlationAt } from './correlate.ts';

export type Splice = { /** Where in the recording, ms. */ readonly atMs: number; readonly ms: number };

/** What a recording holds of a sound that was sent once, in one piece. */
export type Continuity = {
  /** Blocks of the recording that are not silent. */
  readonly blocks: number;
  /** Share of them that match no place of the reference well: mixed with something else, or damaged. A splice costs one or two. */
  readonly poorShare: number;
  /** Parts of the reference that are not there, longer than the tolerance; the beginning and the end count too. */
  readonly gaps: readonly Splice[];
  /** Parts that are heard again. */
  readonly duplicates: readonly Splice[];
  /** Longest stretch of the reference that no found block covers, ms: lost and concealed in its own time, so no gap tells of it. */
  readonly longestMissingMs: number;
  /** Where the recording began to match, against the reference: the delay. Undefined when nothing matched. */
  readonly lagMs: number | undefined;
  /** Median of the blocks' correlations. */
  readonly correlation: number;
};

export type ContinuityOptions = {
  readonly rate: number;
  readonly blockMs?: number;
  /** Correlation from which a block counts as found. */
  readonly found?: number;
  /** How far a block may lie from where the last one says, ms: the drift of two clocks, a jitter buffer that stretches. */
  readonly driftMs?: number;
  /**
   * A block that is not near is looked for this far around, ms; default: everywhere, which costs with the length of the reference.
   * Around where time leads and around where the sound itself leads, so a pause of any length (its source stood still) loses nothing.
   */
  readonly reachMs?: number;
  /** Splices up to this are no gap and no duplicate, ms. */
  readonly toleranceMs?: number;
};

type Found = { readonly heardAt: number; readonly referenceAt: number };

/**
 * Follows a recording through its reference, block by block: each is looked for where the last one leads, and only if it is not
 * there, everywhere. The reference must be like no other at each of its places ({@link chirpWalk}).
 */
export function continuity(reference: Int16Array, heard: Int16Array, options: ContinuityOptions): Continuity {
  const { rate, blockMs = 50, found = 0.8, driftMs = 10, reachMs = Infinity, toleranceMs = 10 } = options;
  const block = Math.round((blockMs * rate) / 1000);
  const drift = Math.round((driftMs * rate) / 1000);
  const ms = (samples: number): number => (samples * 1000) / rate;
  const trail: Found[] = [];
  const correlations: number[] = [];
  let sounded = 0; // blocks that are not silent, since the last one found
  for (let heardAt = 0; heardAt + block <= heard.length; heardAt += block) {
    const sound = heard.subarray(heardAt, heardAt + block);
    if (isSilent(sound)) continue;
    const last = trail.at(-1);
    let best = last
      ? near(reference, last.referenceAt + heardAt - last.heardAt, heard, heardAt, block, drift)
      : { referenceAt: 0, correlation: 0 };
    if (best.correlation < found) {
      const reach = last ? (reachMs * rate) / 1000 : Infinity;
      const bySound = last ? last.referenceAt + (sounded + 1) * block : 0;
      const from = clamp(Math.min(best.referenceAt, bySound) - reach, reference.length);
      const to = Math.max(best.referenceAt, bySound) + block + reach;
      const anywhere = correlate(sound, reference.subarray(from, to), block);
      if (anywhere.correlation > best.correlation)
        best = { referenceAt: from + anywhere.lagSamples, correlation: anywhere.correlation };
    }
    correlations.push(best.correlation);
    sounded += 1;
    if (best.correlation < found) continue;
    trail.push({ heardAt, referenceAt: best.referenceAt });
    sounded = 0;
  }
  const { gaps, duplicates } = splices(trail, reference, block, (toleranceMs * rate) / 1000);
  const inMs = (splice: { at: number; samples: number }): Splice => ({ atMs: ms(splice.at), ms: ms(splice.samples) });
  const [first] = trail;
  return {
    blocks: correlations.length,
    poorShare: correlations.length === 0 ? 0 : correlations.filter((one) => one < found).length / correlations.length,
    gaps: gaps.map(inMs),
    duplicates: duplicates.map(inMs),
    longestMissingMs: ms(longestMissing(trail, reference.length, block)),
    lagMs: first && ms(first.heardAt - first.referenceAt),
    correlation: correlations.toSorted((a, b) => a - b)[correlations.length >> 1] ?? 0,
  };
}

function near(
  reference: Int16Array,
  expected: number,
  heard: Int16Array,
  heardAt: number,
  block: number,
  drift: number,
): { referenceAt: number; correlation: number } {
  let best = { referenceAt: expected, correlation: correlationAt(reference, expected, heard, heardAt, block) };
  if (best.correlation > 0.98) return best;
  for (let off = -drift; off <= drift; off += 1) {
    const correlation = correlationAt(reference, expected + off, heard, heardAt, block);
    if (correlation > best.correlation) best = { referenceAt: expected + off, correlation };
  }
  return best;
}

type Cut = { readonly at: number; readonly samples: number };

/**
 * Between two found blocks the recording must advance in the reference as far as it advances in time. Further: that much is
 * missing; less: that much is heard again. A pause put in between (silence) is neither, so only what the blocks themselves skip counts.
 */
function splices(
  trail: readonly Found[],
  reference: Int16Array,
  block: number,
  tolerance: number,
): { gaps: Cut[]; duplicates: Cut[] } {
  const gaps: Cut[] = [];
  const duplicates: Cut[] = [];
  const note = (list: Cut[], at: number, samples: number): void =>
    void (samples > tolerance && list.push({ at, samples }));
  const [first] = trail;
  const last = trail.at(-1);
  if (!first || !last) return { gaps: [{ at: 0, samples: reference.length }], duplicates };
  // A block that is half silence is skipped or poor: up to one block at either end is the grid's, not the recording's.
  note(gaps, first.heardAt, first.referenceAt - block);
  for (const [i, one] of trail.entries()) {
    const before = trail[i - 1];
    if (!before) continue;
    const advanced = one.referenceAt - before.referenceAt;
    const heard = one.heardAt - before.heardAt;
    note(gaps, one.heardAt, advanced - heard);
    note(duplicates, one.heardAt, Math.min(heard, block) - advanced);
  }
  note(gaps, last.heardAt + block, reference.length - (last.referenceAt + block) - block);
  return { gaps, duplicates };
}

function longestMissing(trail: readonly Found[], length: number, block: number): number {
  let covered = 0;
  let longest = 0;
  for (const { referenceAt } of [...trail, { referenceAt: length }]) {
    longest = Math.max(longest, referenceAt - covered);
    covered = Math.max(covered, referenceAt + block);
  }
  return longest;
}

const clamp = (value: number, most: number): number => Math.max(0, Math.min(most, value));

// Codec noise and the faint ringing after a sound: below −50 dB of full scale.
function isSilent(samples: Int16Array): boolean {
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  return Math.sqrt(energy / samples.length) < 100;
}
