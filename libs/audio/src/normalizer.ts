import { OddByteCarry } from './odd-byte-carry.ts';
import { bytesOf, downmix, joinSamples, samplesOf } from './pcm.ts';
import { createResampler, type StreamResampler } from './resampler.ts';

/** Audio as a backend sends it: interleaved s16le PCM, 8–48 kHz, 1 or 2 channels, cut anywhere. */
export type RawAudio = { readonly rate: number; readonly channels: number; readonly audio: Uint8Array };

/**
 * Makes one format of whatever an utterance is sent in: mono s16le at the target rate. An utterance is self-contained: `end`
 * gives out all that was held back and `reset` drops it, so nothing of one is ever heard in the next (Pipecat glued up to 40 ms
 * of an old sentence to the front of the new one). Rate and channels may change inside an utterance.
 */
export class UtteranceNormalizer {
  readonly #targetHz: number;
  #rate = 0;
  #channels = 0;
  #carry = new OddByteCarry();
  #resampler: StreamResampler | undefined;

  constructor(targetHz: number) {
    this.#targetHz = targetHz;
  }

  /** What of the utterance is ready: whole samples, possibly none; may be a view on `frame.audio`. */
  push(frame: RawAudio): Uint8Array {
    const before =
      frame.rate === this.#rate && frame.channels === this.#channels ? undefined : this.#changeFormat(frame);
    const samples = samplesOf(this.#carry.join(frame.audio));
    const mono = frame.channels === 2 ? downmix(samples) : samples;
    const after = this.#resampler?.process(mono) ?? mono;
    return bytesOf(before && before.length > 0 ? joinSamples([before, after]) : after);
  }

  /** The utterance is complete: what is still held back. Half a sample at its very end is no sound and is dropped. */
  end(): Uint8Array {
    const rest = this.#resampler?.flush() ?? new Int16Array(0);
    this.reset();
    return bytesOf(rest);
  }

  /** Forgets the utterance. */
  reset(): void {
    this.#resampler?.reset();
    this.#carry.reset();
  }

  // What the old resampler holds is played before the new rate begins; half a sample of the old format fits nowhere.
  #changeFormat(frame: RawAudio): Int16Array | undefined {
    const rest = this.#resampler?.flush();
    if (frame.rate !== this.#rate) this.#resampler = createResampler(frame.rate, this.#targetHz);
    this.#carry = new OddByteCarry(frame.channels * 2);
    this.#rate = frame.rate;
    this.#channels = frame.channels;
    return rest;
  }
}
