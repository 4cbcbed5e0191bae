const MOST_SAMPLES = 4_800; // 200 ms at 24 kHz

/**
 * Adds what several sources bring. The first chosen one leads: as much as it has is ready, and the others are taken along
 * with what they have by then (silence where that is nothing; the oldest is dropped where it is more than 200 ms).
 */
export class Mixer {
  readonly #queues = new Map<string, Float32Array>();
  #chosen: readonly string[] = [];

  /** Which sources count, the leading one first; unknown ones count as silent until they bring something. */
  choose(ids: readonly string[]): void {
    this.#chosen = ids;
    for (const id of this.#queues.keys()) if (!ids.includes(id)) this.#queues.delete(id);
  }

  push(id: string, samples: Float32Array): void {
    if (!this.#chosen.includes(id)) return;
    const queue = this.#queues.get(id) ?? new Float32Array();
    const both = new Float32Array(queue.length + samples.length);
    both.set(queue);
    both.set(samples, queue.length);
    this.#queues.set(id, both.subarray(Math.max(0, both.length - MOST_SAMPLES)));
  }

  remove(id: string): void {
    this.choose(this.#chosen.filter((one) => one !== id));
  }

  /** Samples that the leading source has. */
  get ready(): number {
    return this.#leader?.length ?? 0;
  }

  /** The next samples of all of them, added; silence for what is not there. */
  take(count: number): Float32Array {
    const sum = new Float32Array(count);
    for (const [id, queue] of this.#queues) {
      const taken = Math.min(count, queue.length);
      for (let at = 0; at < taken; at += 1) sum[at] = (sum[at] ?? 0) + (queue[at] ?? 0);
      this.#queues.set(id, queue.subarray(taken));
    }
    return sum;
  }

  /** The first chosen source that brings anything: a ghost's track may be there and give nothing. */
  get #leader(): Float32Array | undefined {
    const id = this.#chosen.find((one) => this.#queues.has(one));
    return id === undefined ? undefined : this.#queues.get(id);
  }
}
