import type { ConversationRecord, InboundFrame } from '@tavus-fleet/contracts';
import { parseEntry } from '@tavus-fleet/contracts';
import type { Entry } from './frames-in.ts';

/** An utterance that was cut by this much is not taken up again: nobody knows any more what its rest belongs to. */
const LATE_MS = 5_000;

/** Where the last owner stood: a session goes on behind that. */
export type Place = {
  /** Id of the last entry that was played whole; `0` = none. */
  readonly position: string;
  /** So much of the sound behind it was played too, ms. */
  readonly positionMs: number;
  /** Redis' clock when it stood there; undefined: it never played. */
  readonly positionAt: number | undefined;
  readonly inferenceId: string | undefined;
};

export function placeOf(record: ConversationRecord): Place {
  const { position, positionMs, positionAt, inferenceId } = record;
  return { position, positionMs, positionAt, inferenceId };
}

/**
 * Whether an utterance was open there. `last`: the entry at the position; it is the oldest that is never trimmed, so its type tells,
 * and nothing more has to be saved.
 */
export function wasOpen(place: Place, last: Entry | undefined): boolean {
  if (place.positionMs > 0) return true;
  const parsed = last && parseEntry(last.fields);
  return parsed !== undefined && 'frame' in parsed && /^tts-(started|audio)$/.test(parsed.frame.type);
}

/**
 * Whether the rest of the open utterance comes too late. It was due when the last owner ceased to play, or when it was sent if that was
 * later: speech that was enqueued far ahead is not late because it is old. `next`: id of the first entry that waits.
 */
export function isLate(place: Place, next: string, nowMs: number): boolean {
  const dueAt = Math.max(place.positionAt ?? 0, Number.parseInt(next, 10));
  return nowMs - dueAt > LATE_MS;
}

/** Takes away what was played of the first sound already. Gives up at whatever ends that utterance. */
export class Skip {
  #leftMs: number;

  constructor(ms: number) {
    this.#leftMs = ms;
  }

  /** The frame, what is left of it, or undefined when all of it was played. */
  take<F extends InboundFrame>(frame: F): F | undefined {
    if (this.#leftMs <= 0) return frame;
    if (frame.type !== 'tts-audio') {
      if (frame.type !== 'message' && frame.type !== 'settings-update') this.#leftMs = 0;
      return frame;
    }
    const sampleBytes = 2 * frame.channels;
    const bytes = Math.round((this.#leftMs * frame.rate) / 1_000) * sampleBytes;
    this.#leftMs -= (Math.min(bytes, frame.audio.byteLength) * 1_000) / (frame.rate * sampleBytes);
    if (this.#leftMs < 1) this.#leftMs = 0; // less than a millisecond is rounding
    return bytes >= frame.audio.byteLength ? undefined : { ...frame, audio: frame.audio.subarray(bytes) };
  }
}
