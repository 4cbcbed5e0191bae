/**
 * What waits to be played: a ring of float samples with one reader, the audio thread. It starts a run of sound only with a
 * small reserve (see `prebufferMs`), and it counts what it really played, which is what a transcript is cut by.
 */
export class PcmRing {
  readonly #samples: Float32Array;
  readonly #prebuffer: number;
  #read = 0;
  #waiting = 0;
  #consumed = 0;
  #refused = 0;
  #running = false;
  #held = 0;

  /** Capacity and prebuffer in samples. */
  constructor(capacity: number, prebuffer: number) {
    this.#samples = new Float32Array(capacity);
    this.#prebuffer = prebuffer;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Samples played since the start; silence between utterances does not count. */
  get consumed(): number {
    return this.#consumed;
  }

  /** Samples that found no place. */
  get refused(): number {
    return this.#refused;
  }

  /** Takes as many samples as there is room for; the rest is refused and counted. */
  write(pcm: Int16Array): void {
    const room = this.#samples.length - this.#waiting;
    const count = Math.min(pcm.length, room);
    let at = (this.#read + this.#waiting) % this.#samples.length;
    for (let index = 0; index < count; index += 1) {
      this.#samples[at] = (pcm[index] ?? 0) / 32_768;
      at = at + 1 === this.#samples.length ? 0 : at + 1;
    }
    this.#waiting += count;
    this.#refused += pcm.length - count;
  }

  /** Fills one quantum; what is missing stays silence. Answers how many samples of sound it holds. */
  readInto(output: Float32Array): number {
    output.fill(0);
    if (!this.#running) {
      if (this.#waiting === 0) return 0;
      // Shorter than the reserve: it may be all there is, so it waits no longer than the reserve would have lasted.
      if (this.#waiting < this.#prebuffer && this.#held < this.#prebuffer) {
        this.#held += output.length;
        return 0;
      }
      this.#running = true;
      this.#held = 0;
    }
    const count = Math.min(output.length, this.#waiting);
    for (let index = 0; index < count; index += 1) {
      output[index] = this.#samples[this.#read] ?? 0;
      this.#read = this.#read + 1 === this.#samples.length ? 0 : this.#read + 1;
    }
    this.#waiting -= count;
    this.#consumed += count;
    if (this.#waiting === 0) this.#running = false;
    return count;
  }

  /** Drops what waits; answers what was consumed until here. */
  flush(): number {
    this.#waiting = 0;
    this.#running = false;
    this.#held = 0;
    return this.#consumed;
  }

  /** Empty, and counting from 0 again: a new track. */
  reset(): void {
    this.flush();
    this.#consumed = 0;
  }
}
