const HALF_TAPS = 16;
const MOST_FILTERS = 1_000;

/** Streaming sample-rate converter for one utterance: Hann-windowed sinc, 32 taps; equal rates pass through unchanged. */
export class Resampler {
  readonly #step: number;
  readonly #cutoff: number;
  /** Filter by the fraction of a sample it is for: an integer ratio needs one, 44.1 to 24 kHz eighty. */
  readonly #filters = new Map<number, Float32Array>();
  #input: Float32Array = new Float32Array(HALF_TAPS);
  /** Position of the next output sample in `#input`. */
  #at = HALF_TAPS;

  constructor(fromRate: number, toRate: number) {
    this.#step = fromRate / toRate;
    this.#cutoff = Math.min(1, toRate / fromRate);
  }

  /** Converts the next samples. `isLast` also gives out what the filter still holds. */
  push(samples: Float32Array, isLast: boolean): Float32Array {
    if (this.#step === 1) return samples;
    const tail = isLast ? HALF_TAPS : 0;
    const input = new Float32Array(this.#input.length + samples.length + tail);
    input.set(this.#input);
    input.set(samples, this.#input.length);
    const output: number[] = [];
    let at = this.#at;
    for (; at + HALF_TAPS < input.length; at += this.#step) output.push(this.#sample(input, at));
    const keepFrom = Math.max(0, Math.floor(at) - HALF_TAPS);
    this.#input = input.slice(keepFrom);
    this.#at = at - keepFrom;
    return Float32Array.from(output);
  }

  #sample(input: Float32Array, at: number): number {
    const whole = Math.floor(at);
    const filter = this.#filter(at - whole);
    const first = whole + 1 - HALF_TAPS;
    let sum = 0;
    for (let k = 0; k < filter.length; k += 1) sum += (input[first + k] ?? 0) * (filter[k] ?? 0);
    return sum;
  }

  #filter(fraction: number): Float32Array {
    const key = Math.round(fraction * 1e6);
    const known = this.#filters.get(key);
    if (known) return known;
    const filter = new Float32Array(2 * HALF_TAPS);
    for (let k = 1 - HALF_TAPS; k <= HALF_TAPS; k += 1) {
      const distance = k - fraction;
      const angle = Math.PI * distance * this.#cutoff;
      const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * distance) / (HALF_TAPS + 1));
      filter[k + HALF_TAPS - 1] = sinc * window * this.#cutoff;
    }
    if (this.#filters.size < MOST_FILTERS) this.#filters.set(key, filter);
    return filter;
  }
}
