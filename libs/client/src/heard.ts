/**
 * How much of the sound that was appended has been heard: entries in order, and how far the owner says it has played (every 500 ms,
 * so this is late by that, and never wrong by other producers).
 */
export class Heard {
  readonly #waiting: { readonly id: string; readonly ms: number }[] = [];
  #acceptedMs = 0;
  #waitingMs = 0;
  #interruptions: number | undefined;

  get progress(): { acceptedMs: number; heardMs: number } {
    return { acceptedMs: this.#acceptedMs, heardMs: this.#acceptedMs - this.#waitingMs };
  }

  /** Entries that are not yet played. */
  get waits(): number {
    return this.#waiting.length;
  }

  added(id: string, ms: number): void {
    if (ms === 0) return;
    this.#waiting.push({ id, ms });
    this.#acceptedMs += ms;
    this.#waitingMs += ms;
  }

  /** Everything up to `position` was played; a further interruption dropped what waited before it. Answers whether that changes anything. */
  seen(position: string, interruptions: number): boolean {
    const interrupted = this.#interruptions !== undefined && interruptions > this.#interruptions;
    this.#interruptions = interruptions;
    if (interrupted) return this.clear();
    const first = this.#waiting.findIndex(({ id }) => isAfter(id, position));
    const played = this.#waiting.splice(0, first < 0 ? this.#waiting.length : first);
    this.#waitingMs = this.#waiting.length === 0 ? 0 : this.#waitingMs - played.reduce((sum, { ms }) => sum + ms, 0);
    return played.length > 0;
  }

  /** What waits will not be played. Answers whether anything did. */
  clear(): boolean {
    const any = this.#waiting.length > 0;
    this.#waiting.length = 0;
    this.#waitingMs = 0;
    return any;
  }
}

/** Whether a stream id (`ms-n`) comes after another. */
function isAfter(id: string, other: string): boolean {
  const [ms = '0', n = '0'] = id.split('-');
  const [otherMs = '0', otherN = '0'] = other.split('-');
  return Number(ms) - Number(otherMs) > 0 || (ms === otherMs && Number(n) > Number(otherN));
}
