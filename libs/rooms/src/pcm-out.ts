import { pcmBlockMs, sampleRate as targetRate } from './limits.ts';

const blockSamples = (targetRate * pcmBlockMs) / 1_000;

/**
 * Received audio (usually 48 kHz) to s16le at 24 kHz in blocks of 20 ms, by averaging neighbours. Good enough for speech
 * that was 24 kHz before it went through Opus: nothing above 12 kHz is there to fold back.
 */
export class PcmOut {
  #block = new Int16Array(blockSamples);
  #filled = 0;
  #sum = 0;
  #count = 0;

  /** Answers a block when one is full. At most one per call: a call brings 10 ms. A rate that is no multiple of 24 kHz is refused (undefined). */
  push(samples: Float32Array, sampleRate: number): Int16Array<ArrayBuffer> | undefined {
    const factor = sampleRate / targetRate;
    if (!Number.isInteger(factor)) return undefined;
    let full: Int16Array<ArrayBuffer> | undefined;
    for (const sample of samples) {
      this.#sum += sample;
      this.#count += 1;
      if (this.#count < factor) continue;
      this.#block[this.#filled] = Math.max(-32_768, Math.min(32_767, Math.round((this.#sum / this.#count) * 32_768)));
      this.#sum = 0;
      this.#count = 0;
      this.#filled += 1;
      if (this.#filled < blockSamples) continue;
      full = this.#block;
      this.#block = new Int16Array(blockSamples);
      this.#filled = 0;
    }
    return full;
  }
}
