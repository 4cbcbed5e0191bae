/** Test sounds and how alike two of them are. */

/** A tone whose pitch wanders and never repeats, so that every stretch matches one place only. s16 mono. */
export function wanderingTone(seconds: number, rate: number): Int16Array<ArrayBuffer> {
  const samples = new Int16Array(Math.round(seconds * rate));
  let phase = 0;
  let pitch = 700;
  let drift = 0;
  let seed = 12_345;
  for (let i = 0; i < samples.length; i += 1) {
    if (i % 240 === 0) {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      drift = Math.max(-60, Math.min(60, drift + (seed / 2 ** 31 - 0.5) * 60));
      pitch += drift;
      if (pitch < 250 || pitch > 1_800) drift = -drift;
      pitch = Math.max(250, Math.min(1_800, pitch));
    }
    phase += (2 * Math.PI * pitch) / rate;
    samples[i] = Math.round(9_000 * Math.sin(phase));
  }
  return samples;
}

/** The samples of a 16-bit mono WAV file with a 44-byte header. */
export function samplesOf(wav: Buffer): Int16Array {
  return new Int16Array(wav.buffer.slice(wav.byteOffset + 44, wav.byteOffset + wav.length));
}

/**
 * Correlation of each stretch of 250 ms of `sent` with what was heard, aligned anew within ±100 ms of where the
 * onset puts it: a receiver's jitter buffer stretches time while it finds its depth. Edges of the sound are left out.
 */
export function matches(sent: Int16Array, heard: Int16Array, rate: number): number[] {
  const onset = heard.findIndex((sample) => Math.abs(sample) > 1_500);
  if (onset < 0) return [];
  const length = Math.round(rate * 0.25);
  const found: number[] = [];
  for (let at = length; at + 2 * length < sent.length; at += length)
    found.push(bestCorrelation(sent.subarray(at, at + length), heard, at + onset, Math.round(rate * 0.4)));
  return found;
}

function bestCorrelation(part: Int16Array, heard: Int16Array, around: number, span: number): number {
  let best = -1; let bestAt = 0;
  for (let at = Math.max(0, around - span); at <= around + span; at += 1) {
    let product = 0;
    let mine = 0;
    let theirs = 0;
    for (let i = 0; i < part.length; i += 1) {
      const a = part[i] ?? 0;
      const b = heard[at + i] ?? 0;
      product += a * b;
      mine += a * a;
      theirs += b * b;
    }
    const c = theirs > 0 ? product / Math.sqrt(mine * theirs) : -1;
    if (c > best) { best = c; bestAt = at; }
  }
  console.log('LAG', ((bestAt - around) / 24).toFixed(1), best.toFixed(2));
  return best;
}

/**
 * The correlation that four fifths of the stretches reach. The first second is left out, in which the jitter buffer of the
 * hearer finds its depth; later it may correct itself once more on a busy machine.
 */
export function settledMatch(stretches: readonly number[]): number {
  const settled = stretches.slice(4).toSorted((a, b) => a - b);
  return settled[Math.floor(settled.length / 5)] ?? 0;
}
