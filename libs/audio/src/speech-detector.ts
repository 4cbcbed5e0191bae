/** Pipecat's: a chunk whose loudest sample is at most 20 of 32767 is silence. */
export const PARITY_THRESHOLD = 20;

/**
 * Ours, −50 dB of full scale. Measured with Chromium's Opus at 24 and 64 kbit/s, chunks of 40 ms: digital silence comes out at
 * up to 9 once a tone has rung out, noise of ±10 at 22 (parity takes it for endless speech), noise of −60 dB at 70. Speech is in the thousands.
 */
export const NOISE_THRESHOLD = 100;

export type SpeechDetectorOptions = {
  /** Loudest sample of a chunk that still is silence, of 32767. Default {@link NOISE_THRESHOLD}. */
  readonly threshold?: number;
  /** Silence for longer than this ends speech. Pipecat: 350. */
  readonly stopAfterMs?: number;
  /** No chunk at all for this long ends speech. Pipecat: 3000. */
  readonly inputGoneMs?: number;
};

/**
 * Says when a continuous stream of sound and silence crosses between the two, from the peaks of its chunks (40 ms for parity).
 * Time comes in as ms of any one clock. It has no timer: call `tick` now and then, so that a stream that just stops is noticed.
 */
export class SpeechDetector {
  readonly #threshold: number;
  readonly #stopAfterMs: number;
  readonly #inputGoneMs: number;
  #speaking = false;
  #lastSpeechAt = 0;
  #lastInputAt = 0;

  constructor(options: SpeechDetectorOptions = {}) {
    this.#threshold = options.threshold ?? NOISE_THRESHOLD;
    this.#stopAfterMs = options.stopAfterMs ?? 350;
    this.#inputGoneMs = options.inputGoneMs ?? 3000;
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  /** One chunk by its loudest absolute sample (0–32768, see `peakOf`). Answers the crossing, if this chunk is one. */
  hear(peak: number, nowMs: number): 'started' | 'stopped' | undefined {
    this.#lastInputAt = nowMs;
    if (peak > this.#threshold) {
      this.#lastSpeechAt = nowMs;
      if (this.#speaking) return undefined;
      this.#speaking = true;
      return 'started';
    }
    return this.#speaking && nowMs - this.#lastSpeechAt > this.#stopAfterMs ? this.#stop() : undefined;
  }

  /** Time passes without a chunk. */
  tick(nowMs: number): 'stopped' | undefined {
    return this.#speaking && nowMs - this.#lastInputAt >= this.#inputGoneMs ? this.#stop() : undefined;
  }

  /** Interruption: what was being said is over. Answers `stopped` if something was. */
  reset(): 'stopped' | undefined {
    return this.#speaking ? this.#stop() : undefined;
  }

  #stop(): 'stopped' {
    this.#speaking = false;
    return 'stopped';
  }
}
