// The package has no types; a project that only depends on this one would not find ours without the reference.
// oxlint-disable-next-line typescript/triple-slash-reference
/// <reference path="./speex-resampler-wasm.d.ts" />
import load from '@echogarden/speex-resampler-wasm/simd';

/**
 * Of 0–10. Measured on sines (test/bench/audio.ts): 7 keeps 100 Hz–7 kHz within 0.01 dB and over 110 dB clean at every pair we
 * meet, which is more than 16 bits can hold; 5 is down 0.2 dB at 7 kHz and 10 costs three times as much for nothing audible.
 */
const QUALITY = 7;
const IN_MAX = 4096;
// 8 kHz → 48 kHz makes six samples of one; a little more because the filter may give what it still holds.
const OUT_MAX = IN_MAX * 6 + 1024;

// Loaded once at import: it is code, 30 kB, and everything after it is synchronous. It holds no audio; each Speex state does.
const speex = await load();
const input = speex._malloc(IN_MAX * 4);
const output = speex._malloc(OUT_MAX * 4);
const lengths = speex._malloc(8);

// A session that ends in mid-sentence drops its resampler without a word, and memory inside the module is not collected.
const forgotten = new FinalizationRegistry((state: number) => speex._speex_resampler_destroy(state));

/**
 * One mono stream through Speex' resampler, in float. Owns memory inside the module from its making until `close()`.
 * The output starts at the time of the first input sample (no delay to cut off), but trails it by half a filter.
 */
export class SpeexStream {
  #state: number;

  constructor(fromHz: number, toHz: number) {
    this.#state = speex._speex_resampler_init(1, fromHz, toHz, QUALITY, lengths);
    if (this.#state === 0) throw new RangeError(`Cannot resample from ${fromHz} Hz to ${toHz} Hz.`);
    speex._speex_resampler_skip_zeros(this.#state);
    forgotten.register(this, this.#state, this);
  }

  /** Resamples what is given; answers what is ready, which may be nothing. Any scale: Speex does not clip floats. */
  process(samples: Int16Array | Float32Array): Float32Array {
    const parts: Float32Array[] = [];
    for (let at = 0; at < samples.length;) {
      const block = samples.subarray(at, at + IN_MAX);
      speex.HEAPF32.set(block, input / 4);
      speex.HEAPU32[lengths / 4] = block.length;
      speex.HEAPU32[lengths / 4 + 1] = OUT_MAX;
      const problem = speex._speex_resampler_process_float(this.#state, 0, input, lengths, output, lengths + 4);
      const used = speex.HEAPU32[lengths / 4] ?? 0;
      if (problem !== 0 || used === 0) throw new Error(`The resampler refused to go on (${problem}).`);
      parts.push(speex.HEAPF32.slice(output / 4, output / 4 + (speex.HEAPU32[lengths / 4 + 1] ?? 0)));
      at += used;
    }
    return join(parts);
  }

  /** Gives the memory back. May be called twice; nothing else may be called afterwards. */
  close(): void {
    if (this.#state === 0) return;
    forgotten.unregister(this);
    speex._speex_resampler_destroy(this.#state);
    this.#state = 0;
  }
}

function join(parts: readonly Float32Array[]): Float32Array {
  const [only] = parts;
  if (parts.length === 1 && only) return only;
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
