/** Bytes of one chunk of `ms` at `rateHz`, mono s16: whole samples, rounded down (40 ms at 24 kHz: 1920). */
export function chunkBytes(rateHz: number, ms = 40): number {
  return Math.floor((rateHz * ms) / 1000) * 2;
}

/**
 * Cuts PCM into chunks of one size. The last chunk of an utterance is filled up with silence, so that nothing waits for the
 * next utterance to complete it. Holds less than one chunk.
 */
export class Chunker {
  readonly #size: number;
  #held: Uint8Array;
  #filled = 0;

  /** @param size bytes of a chunk, see {@link chunkBytes} */
  constructor(size: number) {
    this.#size = size;
    this.#held = new Uint8Array(size);
  }

  /** Bytes that wait for the rest of their chunk. */
  get heldBytes(): number {
    return this.#filled;
  }

  /** The chunks that `pcm` completes, in order; each has its own memory. */
  push(pcm: Uint8Array): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < pcm.byteLength;) {
      const part = pcm.subarray(at, at + this.#size - this.#filled);
      this.#held.set(part, this.#filled);
      this.#filled += part.byteLength;
      at += part.byteLength;
      if (this.#filled === this.#size) chunks.push(this.#take());
    }
    return chunks;
  }

  /** The last chunk of the utterance, filled up with zeros; undefined when nothing waits. */
  end(): Uint8Array | undefined {
    return this.#filled === 0 ? undefined : this.#take();
  }

  /** Drops what waits. */
  reset(): void {
    this.#held.fill(0);
    this.#filled = 0;
  }

  #take(): Uint8Array {
    const chunk = this.#held;
    this.#held = new Uint8Array(this.#size);
    this.#filled = 0;
    return chunk;
  }
}
