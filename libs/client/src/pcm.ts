import type { InboundFrame } from '@tavus-fleet/contracts';

/** How the bytes of interleaved s16le PCM are to be read. */
export type PcmFormat = { readonly rate: number; readonly channels: number };

/** Longest piece that becomes one frame. Shorter ones go out as they come: a live voice is not made to wait. */
const PIECE_MS = 100;

/** What a frame sounds like in time, ms; 0 for one without sound. */
export function durationMs(frame: InboundFrame): number {
  return frame.type === 'tts-audio' ? pcmMs(frame.audio.byteLength, frame) : 0;
}

export function pcmMs(bytes: number, { rate, channels }: PcmFormat): number {
  return (bytes * 1_000) / (2 * channels * rate);
}

/**
 * Cuts PCM, in whatever portions it comes, into pieces of at most 100 ms that hold whole samples of all channels. A rest of a
 * sample is carried to the next portion; one at the very end is no sound and is left out.
 */
export class Pieces {
  readonly #sampleBytes: number;
  readonly #pieceBytes: number;
  #carry = new Uint8Array(0);

  constructor({ rate, channels }: PcmFormat) {
    this.#sampleBytes = 2 * channels;
    this.#pieceBytes = Math.floor((rate * PIECE_MS) / 1_000) * this.#sampleBytes;
  }

  *of(portion: Uint8Array): Generator<Uint8Array<ArrayBuffer>, void, void> {
    const bytes = new Uint8Array(this.#carry.length + portion.length); // a copy: the caller may use its buffer again
    bytes.set(this.#carry);
    bytes.set(portion, this.#carry.length);
    const whole = bytes.length - (bytes.length % this.#sampleBytes);
    this.#carry = bytes.slice(whole);
    for (let at = 0; at < whole; at += this.#pieceBytes)
      yield bytes.subarray(at, Math.min(whole, at + this.#pieceBytes));
  }
}
