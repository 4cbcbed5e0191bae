import type { InboundFrame } from '@tavus-fleet/contracts';
import type { PcmFormat } from './pcm.ts';

type Item = { readonly frame: InboundFrame; resolve(): void; reject(reason: unknown): void; unlisten(): void };

/** Frames that are not yet known to be in the stream, in order: the first ones are on their way, the others may be withdrawn. */
export class Waiting {
  #items: Item[] = [];
  #underWay = 0;

  /** Resolves with `done`; rejects with what `failAll` brings, or with the signal's reason when it aborts before the frame is on its way. */
  add(frame: InboundFrame, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason as unknown); // safe: any reason is a reason
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const withdraw = (): void => {
      const at = this.#items.indexOf(item);
      if (at < this.#underWay) return; // on its way, or gone
      this.#items.splice(at, 1);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', withdraw, { once: true });
    const item: Item = { frame, resolve, reject, unlisten: () => signal?.removeEventListener('abort', withdraw) };
    this.#items.push(item);
    return promise;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The first frames, at least one if any waits; they are on their way now and come again until `done`. */
  take(limit: { readonly frames: number; readonly bytes: number }): readonly Item[] {
    let bytes = 0;
    let count = 0;
    for (const { frame } of this.#items) {
      bytes += frame.type === 'tts-audio' ? frame.audio.byteLength : 0;
      if (count > 0 && (count >= limit.frames || bytes > limit.bytes) && count >= this.#underWay) break;
      count += 1;
    }
    this.#underWay = count;
    return this.#items.slice(0, count);
  }

  /** How the first sound that waits is to be read. */
  get firstFormat(): PcmFormat | undefined {
    for (const { frame } of this.#items)
      if (frame.type === 'tts-audio') return { rate: frame.rate, channels: frame.channels };
    return undefined;
  }

  /** The first `count` frames are in the stream; answers which they are. */
  done(count: number): InboundFrame[] {
    return this.#settle(count, (item) => item.resolve());
  }

  /** The first frame was refused. */
  failFirst(error: unknown): void {
    this.#settle(1, (item) => item.reject(error));
  }

  failAll(error: unknown): void {
    this.#settle(this.#items.length, (item) => item.reject(error));
  }

  #settle(count: number, how: (item: Item) => void): InboundFrame[] {
    const settled = this.#items.splice(0, count);
    this.#underWay = Math.max(0, this.#underWay - settled.length);
    for (const item of settled) {
      item.unlisten();
      how(item);
    }
    return settled.map(({ frame }) => frame);
  }
}
