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
 * Correlation of each 50 ms of `sent` with what was heard, aligned anew within ±120 ms of where the onset puts it: a jitter
 * buffer adds and removes single periods of a tone while it looks for its depth. Edges of the sound are left out.
 */
export function matches(sent: Int16Array, heard: Int16Array, rate: number): number[] {
  const onset = heard.findIndex((sample) => Math.abs(sample) > 1_500);
  if (onset < 0) return [];
  const length = Math.round(rate * 0.05);
  const found: number[] = [];
  for (let at = 5 * length; at + 5 * length < sent.length; at += length)
    found.push(bestCorrelation(sent.subarray(at, at + length), heard, at + onset, Math.round(rate * 0.12)));
  return found;
}

function bestCorrelation(part: Int16Array, heard: Int16Array, around: number, span: number): number {
  let best = -1;
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
    if (theirs > 0) best = Math.max(best, product / Math.sqrt(mine * theirs));
  }
  return best;
}

/** The correlation that four fifths of the stretches reach: the others may hold a period that the jitter buffer added or removed. */
export function settledMatch(stretches: readonly number[]): number {
  const settled = stretches.toSorted((a, b) => a - b);
  return settled[Math.floor(settled.length / 5)] ?? 0;
}
