/** Where `heard` best matches `reference`, and how well: 1 is the same sound at any loudness, 0 has nothing to do with it. */
export type Match = { readonly lagSamples: number; readonly correlation: number };

/**
 * Finds `heard` in `reference` or the other way round. `lagSamples` > 0: heard comes that much later (`heard[i + lag] ≈ reference[i]`).
 * By FFT, so minutes of sound take a second. At least `minOverlap` samples must lie on each other (default: a quarter of the shorter).
 */
export function correlate(
  reference: Int16Array,
  heard: Int16Array,
  minOverlap = Math.floor(Math.min(reference.length, heard.length) / 4),
): Match {
  const total = reference.length + heard.length;
  if (reference.length === 0 || heard.length === 0) return { lagSamples: 0, correlation: 0 };
  const products = crossProducts(reference, heard, 2 ** Math.ceil(Math.log2(total)));
  const ofReference = energySums(reference);
  const ofHeard = energySums(heard);
  let best: Match = { lagSamples: 0, correlation: 0 };
  for (let lag = -(reference.length - 1); lag < heard.length; lag += 1) {
    const start = Math.max(0, -lag);
    const end = Math.min(reference.length, heard.length - lag);
    if (end - start < Math.max(1, minOverlap)) continue;
    const energy =
      (at(ofReference, end) - at(ofReference, start)) * (at(ofHeard, end + lag) - at(ofHeard, start + lag));
    if (energy <= 0) continue;
    const correlation = at(products, (lag + products.length) % products.length) / Math.sqrt(energy);
    if (correlation > best.correlation) best = { lagSamples: lag, correlation };
  }
  return best;
}

/** Normalised correlation of `length` samples at two places; 0 where one of them is silent or out of range. */
export function correlationAt(
  reference: Int16Array,
  referenceAt: number,
  heard: Int16Array,
  heardAt: number,
  length: number,
): number {
  if (referenceAt < 0 || heardAt < 0 || referenceAt + length > reference.length || heardAt + length > heard.length)
    return 0;
  let cross = 0;
  let one = 0;
  let other = 0;
  for (let i = 0; i < length; i += 1) {
    const a = at(reference, referenceAt + i);
    const b = at(heard, heardAt + i);
    cross += a * b;
    one += a * a;
    other += b * b;
  }
  return one === 0 || other === 0 ? 0 : cross / Math.sqrt(one * other);
}

const at = (numbers: ArrayLike<number>, index: number): number => numbers[index] ?? 0;

/** Sums of squares up to each place, so that any stretch's energy is one subtraction. */
function energySums(samples: Int16Array): Float64Array {
  const sums = new Float64Array(samples.length + 1);
  for (let i = 0; i < samples.length; i += 1) sums[i + 1] = at(sums, i) + at(samples, i) ** 2;
  return sums;
}

/** Σ reference[i] · heard[i + lag] for every lag, at index `lag mod size`. */
function crossProducts(reference: Int16Array, heard: Int16Array, size: number): Float64Array {
  // Two real signals in one complex transform: heard as the real part, reference as the imaginary one.
  const real = new Float64Array(size);
  const imaginary = new Float64Array(size);
  real.set(heard);
  imaginary.set(reference);
  const turns = turnsOf(size);
  fft(real, imaginary, turns);
  const productReal = new Float64Array(size);
  const productImaginary = new Float64Array(size);
  for (let i = 0; i < size; i += 1) {
    const j = (size - i) % size;
    const heardReal = (at(real, i) + at(real, j)) / 2;
    const heardImaginary = (at(imaginary, i) - at(imaginary, j)) / 2;
    const referenceReal = (at(imaginary, i) + at(imaginary, j)) / 2;
    const referenceImaginary = (at(real, j) - at(real, i)) / 2;
    productReal[i] = heardReal * referenceReal + heardImaginary * referenceImaginary;
    productImaginary[i] = -(heardImaginary * referenceReal - heardReal * referenceImaginary); // conjugate: forward again is backward
  }
  fft(productReal, productImaginary, turns);
  for (let i = 0; i < size; i += 1) productReal[i] = at(productReal, i) / size;
  return productReal;
}

type Turns = { readonly cosines: Float64Array; readonly sines: Float64Array };

const turnsOf = (size: number): Turns => ({
  cosines: Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size)),
  sines: Float64Array.from({ length: size / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / size)),
});

/** In place, radix 2; the length is a power of two. */
function fft(real: Float64Array, imaginary: Float64Array, { cosines, sines }: Turns): void {
  const size = real.length;
  for (let i = 1, j = 0; i < size; i += 1) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i >= j) continue;
    [real[i], real[j]] = [at(real, j), at(real, i)];
    [imaginary[i], imaginary[j]] = [at(imaginary, j), at(imaginary, i)];
  }
  for (let half = 1; half < size; half *= 2) {
    const step = size / (2 * half);
    for (let start = 0; start < size; start += 2 * half) {
      for (let k = 0; k < half; k += 1) {
        const low = start + k;
        const high = low + half;
        const c = at(cosines, k * step);
        const s = at(sines, k * step);
        const r = at(real, high) * c - at(imaginary, high) * s;
        const m = at(real, high) * s + at(imaginary, high) * c;
        real[high] = at(real, low) - r;
        imaginary[high] = at(imaginary, low) - m;
        real[low] = at(real, low) + r;
        imaginary[low] = at(imaginary, low) + m;
      }
    }
  }
}
