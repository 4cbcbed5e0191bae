/**
 * s16le PCM between bytes and samples. Every platform that runs JavaScript today is little-endian, so a typed array over the
 * bytes is the samples; only its alignment needs care.
 */

/** The samples in `bytes`, whatever their alignment: a view where possible, else a copy. A last odd byte is left out. */
export function samplesOf(bytes: Uint8Array): Int16Array {
  const length = bytes.byteLength >> 1;
  if (bytes.byteOffset % 2 === 0) return new Int16Array(bytes.buffer, bytes.byteOffset, length);
  // Not slice(): of a Node Buffer that is a view at the same odd offset.
  return new Int16Array(new Uint8Array(bytes.subarray(0, length * 2)).buffer);
}

/** The bytes of `samples`: a view on the same memory. */
export function bytesOf(samples: Int16Array): Uint8Array {
  return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

/** Mono from interleaved stereo: the average, which cannot overflow. Truncated towards zero, so that silence gets no offset. */
export function downmix(stereo: Int16Array): Int16Array {
  const mono = new Int16Array(stereo.length >> 1);
  for (let i = 0; i < mono.length; i += 1) mono[i] = ((stereo[2 * i] ?? 0) + (stereo[2 * i + 1] ?? 0)) / 2;
  return mono;
}

/** Whole samples in `ms` at `rateHz`, rounded. */
export function samplesIn(ms: number, rateHz: number): number {
  return Math.round((ms * rateHz) / 1000);
}

/** How long `samples` last at `rateHz`, ms. */
export function msIn(samples: number, rateHz: number): number {
  return (samples * 1000) / rateHz;
}

/** Loudest absolute sample, 0–32768. −32768 counts as loud (numpy's int16 abs calls it silence, and Pipecat with it). */
export function peakOf(samples: Int16Array): number {
  let peak = 0;
  for (const sample of samples) {
    const size = sample < 0 ? -sample : sample;
    if (size > peak) peak = size;
  }
  return peak;
}

/** The parts one after the other in one array. */
export function joinSamples(parts: readonly Int16Array[]): Int16Array {
  const [only] = parts;
  if (parts.length === 1 && only) return only;
  const joined = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
