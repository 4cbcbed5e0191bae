import { maxEchoBytes } from '@tavus-fleet/tavus';
import type { Position } from './frames.ts';
import { OUT_RATE } from './speech-out.ts';

/** First message of an utterance: small, so that the avatar starts early; later ones as large as the room allows. */
const FIRST_BYTES = (OUT_RATE / 50) * 2;
const MAX_SAMPLES = 30 * OUT_RATE;

type Item =
  | { readonly kind: 'audio'; readonly pcm: Uint8Array; readonly position: Position | undefined }
  | { readonly kind: 'end'; readonly position: Position | undefined };

/** What is to be sent next. `position`: everything up to it is dealt with once this is sent. `mark` needs no sending. */
export type EchoStep =
  | {
      readonly kind: 'audio';
      readonly pcm: Uint8Array;
      readonly inferenceId: string;
      readonly position: Position | undefined;
      /** Samples in it that lie behind that position: the beginning of what comes next. */
      readonly into: number;
    }
  | { readonly kind: 'end' | 'mark'; readonly position: Position | undefined };

/** Speech that waits to be sent, cut into messages as large as the room takes. Order is kept; an end never joins two utterances. */
export class EchoQueue {
  readonly #options: { readonly conversationId: string; readonly maxMessageLength: number };
  #items: Item[] = [];
  #samples = 0;

  constructor(options: { conversationId: string; maxMessageLength: number }) {
    this.#options = options;
  }

  get samples(): number {
    return this.#samples;
  }

  /** False when 30 s wait already. */
  push(pcm: Uint8Array, position: Position | undefined): boolean {
    const samples = pcm.byteLength / 2;
    if (this.#samples > 0 && this.#samples + samples > MAX_SAMPLES) return false;
    this.#items.push({ kind: 'audio', pcm, position });
    this.#samples += samples;
    return true;
  }

  end(position: Position | undefined): void {
    this.#items.push({ kind: 'end', position });
  }

  /** Drops everything; answers the newest position among it. */
  clear(): Position | undefined {
    const last = this.#items.findLast((item) => item.position !== undefined)?.position;
    this.#items = [];
    this.#samples = 0;
    return last;
  }

  /** Takes the next step; `inferenceId` is the utterance's so far, undefined when its first message is due. `mostMs`: longest piece, whatever the room would take. */
  next(inferenceId: string | undefined, mostMs = Number.POSITIVE_INFINITY): EchoStep | undefined {
    const first = this.#items[0];
    if (!first) return undefined;
    if (first.kind === 'audio' && first.pcm.byteLength > 0) return this.#message(inferenceId, mostMs);
    this.#items.shift();
    return { kind: first.kind === 'end' ? 'end' : 'mark', position: first.position };
  }

  #message(current: string | undefined, mostMs: number): EchoStep {
    const inferenceId = current ?? crypto.randomUUID();
    const { conversationId, maxMessageLength: limit } = this.#options;
    const allowed = Math.max(2, maxEchoBytes({ limit, conversationId, inferenceId, sampleRate: OUT_RATE }));
    const wanted = Math.min(allowed, Math.max(1, Math.floor((mostMs * OUT_RATE) / 1_000)) * 2);
    const most = current === undefined ? Math.min(FIRST_BYTES, wanted) : wanted;
    const parts: Uint8Array[] = [];
    let position: Position | undefined;
    let bytes = 0;
    let into = 0;
    for (let item = this.#items[0]; item?.kind === 'audio' && bytes < most; item = this.#items[0]) {
      const take = item.pcm.subarray(0, most - bytes);
      parts.push(take);
      bytes += take.byteLength;
      into += take.byteLength / 2;
      if (take.byteLength < item.pcm.byteLength) {
        this.#items[0] = { kind: 'audio', pcm: item.pcm.subarray(take.byteLength), position: item.position };
      } else {
        this.#items.shift();
        position = item.position ?? position;
        if (item.position !== undefined) into = 0;
      }
    }
    this.#samples -= bytes / 2;
    return { kind: 'audio', pcm: Buffer.concat(parts), inferenceId, position, into };
  }
}
