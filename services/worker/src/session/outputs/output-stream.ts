import type { Clock } from '@tavus-fleet/lifecycle';

/** What may wait while Redis is slow, and what goes out together. */
const MAX_WAITING_MS = 4_000;
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
const MAX_BATCH = 10;
const MAX_BATCH_BYTES = 1024 * 1024;
/** How often a loss is said. */
const TELL_MS = 1_000;

/** Anything with a time, in ms. */
type Timed = { readonly pts: number };

export type OutputStreamOptions<Entry extends Timed> = {
  /** Appends in order. May reject; it has a deadline of its own. False: the conversation is not ours, so not ours to tell of either. */
  readonly append: (entries: readonly Entry[]) => Promise<boolean>;
  readonly bytesOf: (entry: Entry) => number;
  /** Whether an entry is of no use when the one before it is missing. */
  readonly needsEarlier?: (entry: Entry) => boolean;
  /** So many were lost since the last call. */
  readonly onDropped: (count: number) => void;
  /** What comes is of no use until one comes that needs no earlier one. */
  readonly onGap?: () => void;
  readonly clock: Clock;
};

/**
 * Media on its way to a stream of Redis, beside the live path, which never waits for it. Entries go out in batches, one write at
 * a time. While Redis is slow or silent they wait, and then the oldest are dropped and counted, with all that depends on them.
 */
export class OutputStream<Entry extends Timed> {
  readonly #options: OutputStreamOptions<Entry>;
  #waiting: Entry[] = [];
  #bytes = 0;
  /** The last entry was lost: the next must need no earlier one. */
  #gap = false;
  #dropped = 0;
  #toldAt = Number.NEGATIVE_INFINITY;
  #writing = false;
  #closed = false;

  constructor(options: OutputStreamOptions<Entry>) {
    this.#options = options;
  }

  push(entry: Entry): void {
    if (this.#closed) return;
    this.#waiting.push(entry);
    this.#bytes += this.#options.bytesOf(entry);
    let lost = this.#takeUseless();
    while (this.#isOver()) lost += this.#shift() + this.#takeUseless();
    this.#drop(lost);
    if (!this.#writing) void this.#write();
  }

  /** So many were lost before they came here. Their maker sees to it that the next one needs none of them. */
  missed(count: number): void {
    if (!this.#closed) this.#drop(count);
  }

  /** What waits is let go: whoever listens hears the end from the events. May be called twice. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#bytes = 0;
    this.#tell();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#batch();
      try {
        if (await this.#options.append(batch)) continue;
        // Its owner writes it; that we are not (any more, or not yet) the lease tells us.
        this.#gap = true;
        this.#takeUseless();
      } catch {
        // Media that is late is of no use: it is not tried again.
        this.#gap = true;
        this.#drop(batch.length + this.#takeUseless());
      }
    }
    this.#writing = false;
  }

  #batch(): Entry[] {
    const batch: Entry[] = [];
    let bytes = 0;
    for (let next = this.#waiting[0]; next && batch.length < MAX_BATCH; next = this.#waiting[0]) {
      const size = this.#options.bytesOf(next);
      if (batch.length > 0 && bytes + size > MAX_BATCH_BYTES) break;
      bytes += size;
      this.#bytes -= size;
      batch.push(next);
      this.#waiting.shift();
    }
    return batch;
  }

  #isOver(): boolean {
    const [oldest, newest] = [this.#waiting[0], this.#waiting.at(-1)];
    if (!oldest || !newest) return false;
    return newest.pts - oldest.pts > MAX_WAITING_MS || this.#bytes > MAX_WAITING_BYTES;
  }

  /** Takes the oldest away, and leaves a gap. Answers 1. */
  #shift(): number {
    const oldest = this.#waiting.shift();
    this.#bytes -= oldest ? this.#options.bytesOf(oldest) : 0;
    this.#gap = true;
    return 1;
  }

  /** Behind a gap: takes away what needs an earlier entry, up to the first that does not. Answers how many. */
  #takeUseless(): number {
    const { needsEarlier } = this.#options;
    if (!this.#gap || !needsEarlier) return 0;
    const useful = this.#waiting.findIndex((entry) => !needsEarlier(entry));
    const useless = this.#waiting.splice(0, useful === -1 ? this.#waiting.length : useful);
    for (const entry of useless) this.#bytes -= this.#options.bytesOf(entry);
    this.#gap = useful === -1;
    if (this.#gap) this.#options.onGap?.();
    return useless.length;
  }

  #drop(count: number): void {
    this.#dropped += count;
    if (this.#options.clock.now() - this.#toldAt >= TELL_MS) this.#tell();
  }

  #tell(): void {
    if (this.#dropped === 0) return;
    this.#options.onDropped(this.#dropped);
    this.#dropped = 0;
    this.#toldAt = this.#options.clock.now();
  }
}
