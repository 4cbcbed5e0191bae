import type { Clock } from '@tavus-fleet/lifecycle';

/** 20 ms of the avatar's voice on its way to the backend. */
export type AvatarBlock = {
  readonly rate: number;
  readonly channels: number;
  readonly audio: Uint8Array;
  /** When it began to be heard, ms since 1970 by the worker's clock. */
  readonly pts: number;
};

/** Four seconds: rides out a slow Redis, and costs 190 kB. */
const MAX_WAITING = 200;
const BATCH = 10;
/** How often a loss is said. */
const TELL_MS = 1_000;

/**
 * The avatar's voice to a stream of Redis, beside the live path: it never waits for it. Blocks go out in batches, one write at a
 * time; while Redis is slow or silent they wait, and then the oldest are dropped and counted.
 */
export class AvatarStream {
  readonly #append: (blocks: readonly AvatarBlock[]) => Promise<void>;
  readonly #onDropped: (count: number) => void;
  readonly #clock: Clock;
  #waiting: AvatarBlock[] = [];
  #dropped = 0;
  #toldAt = Number.NEGATIVE_INFINITY;
  #writing = false;
  #closed = false;

  /** `append` may reject; it has a deadline of its own. */
  constructor(
    append: (blocks: readonly AvatarBlock[]) => Promise<void>,
    onDropped: (count: number) => void,
    clock: Clock,
  ) {
    this.#append = append;
    this.#onDropped = onDropped;
    this.#clock = clock;
  }

  push(block: AvatarBlock): void {
    if (this.#closed) return;
    this.#waiting.push(block);
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.shift();
      this.#drop(1);
    }
    if (!this.#writing) void this.#write();
  }

  /** What waits is let go: whoever listens hears the end from the events. May be called twice. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#tell();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH);
      try {
        await this.#append(batch);
      } catch {
        this.#drop(batch.length); // a sound that is late is of no use: it is not tried again
      }
    }
    this.#writing = false;
  }

  #drop(count: number): void {
    this.#dropped += count;
    if (this.#clock.now() - this.#toldAt >= TELL_MS) this.#tell();
  }

  #tell(): void {
    if (this.#dropped === 0) return;
    this.#onDropped(this.#dropped);
    this.#dropped = 0;
    this.#toldAt = this.#clock.now();
  }
}
