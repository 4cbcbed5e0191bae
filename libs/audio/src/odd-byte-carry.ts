/**
 * Cuts a stream of bytes at whole samples: producers slice PCM where their network does, and one byte too many would turn
 * all that follows into noise. Holds at most one sample's bytes less one. Belongs to one utterance.
 */
export class OddByteCarry {
  readonly #unit: number;
  #held: Uint8Array = new Uint8Array(0);

  /** @param unit bytes that belong together: 2 for mono s16, 4 for stereo */
  constructor(unit = 2) {
    this.#unit = unit;
  }

  /** What was held back and `bytes`, up to the last whole unit. Returns `bytes` itself when nothing is left over. */
  join(bytes: Uint8Array): Uint8Array {
    if (this.#held.byteLength === 0 && bytes.byteLength % this.#unit === 0) return bytes;
    const all = new Uint8Array(this.#held.byteLength + bytes.byteLength);
    all.set(this.#held);
    all.set(bytes, this.#held.byteLength);
    const whole = all.byteLength - (all.byteLength % this.#unit);
    this.#held = all.slice(whole);
    return all.subarray(0, whole);
  }

  /** Drops what is held back: a part of a sample is no sound. */
  reset(): void {
    this.#held = new Uint8Array(0);
  }
}
