import { joinSamples } from './pcm.ts';
import { SpeexStream } from './speex.ts';

/**
 * Changes the rate of one mono stream, cut wherever its source cut it. Over an utterance nothing is lost or added: after
 * `flush` the output counts `round(input × to / from)` samples.
 */
export interface StreamResampler {
  /** What is ready by now; may be empty, and may be the input itself. Trails the input by at most 8 ms. */
  process(pcm: Int16Array): Int16Array;
  /** The rest of the utterance. Afterwards the resampler is as new. */
  flush(): Int16Array;
  /** Forgets the utterance (interruption): what was held back is never heard. */
  reset(): void;
}

/** A resampler between two rates, Hz. Equal rates: every sample passes untouched, bit by bit. */
export function createResampler(fromHz: number, toHz: number): StreamResampler {
  return fromHz === toHz ? untouched : new SpeexResampler(fromHz, toHz);
}

const untouched: StreamResampler = { process: (pcm) => pcm, flush: () => new Int16Array(0), reset: () => undefined };

// Half a filter is 120 input samples at worst (48 → 8 kHz: 384); silence after the end pushes out what waits behind it.
const SILENCE = new Int16Array(512);
const FLUSH_MAX_BLOCKS = 8;

/** Holds a Speex state only while an utterance runs: made by its first sample, given back by `flush` or `reset`. */
class SpeexResampler implements StreamResampler {
  readonly #fromHz: number;
  readonly #toHz: number;
  #stream: SpeexStream | undefined;
  #samplesIn = 0;
  #samplesOut = 0;

  constructor(fromHz: number, toHz: number) {
    this.#fromHz = fromHz;
    this.#toHz = toHz;
  }

  process(pcm: Int16Array): Int16Array {
    if (pcm.length === 0) return pcm;
    this.#stream ??= new SpeexStream(this.#fromHz, this.#toHz);
    const out = rounded(this.#stream.process(pcm));
    this.#samplesIn += pcm.length;
    this.#samplesOut += out.length;
    return out;
  }

  flush(): Int16Array {
    let missing = Math.round((this.#samplesIn * this.#toHz) / this.#fromHz) - this.#samplesOut;
    const parts: Int16Array[] = [];
    for (let block = 0; this.#stream && missing > 0 && block < FLUSH_MAX_BLOCKS; block += 1) {
      const part = rounded(this.#stream.process(SILENCE)).subarray(0, missing);
      missing -= part.length;
      parts.push(part);
    }
    this.reset();
    return joinSamples(parts);
  }

  reset(): void {
    this.#stream?.close();
    this.#stream = undefined;
    this.#samplesIn = 0;
    this.#samplesOut = 0;
  }
}

// A full-scale tone overshoots between its samples; without the limits it would wrap around into a click.
function rounded(samples: Float32Array): Int16Array {
  const out = new Int16Array(samples.length);
  for (let i = 0; i < out.length; i += 1) out[i] = Math.max(-32_768, Math.min(32_767, Math.round(samples[i] ?? 0)));
  return out;
}
