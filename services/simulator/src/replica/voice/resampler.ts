const HALF_TAPS = 16;

/** Streaming sample-rate converter for one utterance: Hann-windowed sinc, 32 taps; equal rates pass through unchanged. */
export class Resampler {
  readonly #step: number;
  readonly #cutoff: number;
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
    let sum = 0;
    for (let k = 1 - HALF_TAPS; k <= HALF_TAPS; k += 1) {
      const distance = whole + k - at;
      const angle = Math.PI * distance * this.#cutoff;
      const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * distance) / (HALF_TAPS + 1));
      sum += (input[whole + k] ?? 0) * sinc * window * this.#cutoff;
    }
    return sum;
  }
}
