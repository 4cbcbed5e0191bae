/**
 * Speech of one connection that is in the stream and not yet heard. The owner's record says up to which entry was played
 * (every 500 ms), so this is late by that, never wrong by other producers.
 */
export class Ahead {
  #entries: { readonly at: number; readonly seq: number; readonly ms: number }[] = [];
  #ms = 0;

  get ms(): number {
    return Math.round(this.#ms);
  }

  added(entryId: string, ms: number): void {
    this.#entries.push({ ...split(entryId), ms });
    this.#ms += ms;
  }

  /** Everything up to that entry was played. */
  played(position: string): void {
    const { at, seq } = split(position);
    let count = 0;
    for (const entry of this.#entries) {
      if (entry.at > at || (entry.at === at && entry.seq > seq)) break;
      this.#ms -= entry.ms;
      count += 1;
    }
    this.#entries.splice(0, count);
    if (this.#entries.length === 0) this.#ms = 0; // no remainder of fractions
  }

  /** An interruption: what waited is dropped. */
  clear(): void {
    this.#entries = [];
    this.#ms = 0;
  }
}

function split(entryId: string): { at: number; seq: number } {
  const [at = '0', seq = '0'] = entryId.split('-');
  return { at: Number(at), seq: Number(seq) };
}
