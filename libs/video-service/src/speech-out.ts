import type { Position } from './frames.ts';

/** Everything in here counts mono samples at this rate, Hz. */
export const OUT_RATE = 24_000;
export const msOf = (samples: number): number => (samples * 1000) / OUT_RATE;

/**
 * How speech reaches Tavus: as the custom track `stream` or as `conversation.echo` messages. Takes whole samples of mono
 * s16le at OUT_RATE, in order. Never blocks; `bufferedMs` is the back-pressure.
 */
export interface SpeechOut {
  /** False when refused: closed, or 30 s wait already. */
  write(pcm: Uint8Array, position: Position | undefined): boolean;
  /** The utterance is complete: nothing of it may wait for the next one. */
  endUtterance(position: Position | undefined): void;
  /** Accepted and not yet played (echo mode: not yet sent). */
  readonly bufferedMs: number;
  /** When the last accepted sample was (or will be) heard by the replica, ms since 1970; 0 = never any. */
  readonly lastSoundAt: number;
  /** Samples played since the start, for "how much of this utterance was heard". */
  readonly playedSamples: number;
  /** Samples that are played or will be, since the start: where the next utterance begins. */
  readonly acceptedSamples: number;
  /** Drops what is not played, at once; then resolves with the samples dropped. Until then `write` queues for afterwards. */
  interrupt(signal: AbortSignal): Promise<{ droppedSamples: number; playedSamples: number }>;
  /** Resolves when all that was accepted is played (echo mode: sent and due). */
  drained(signal: AbortSignal): Promise<void>;
  /** Echo mode: the utterance that is open has this id already, from an earlier owner. */
  continueWith?(inferenceId: string): void;
  /**
   * Plays no further and resolves when nobody is at it any more: where it stands has been told to the last sample then. What was not
   * played waits. Stream mode: the track is gone. Rejects when that cannot be said; `resume` goes on in any case.
   */
  pause(signal: AbortSignal): Promise<void>;
  /** Goes on where a pause stopped. */
  resume(signal: AbortSignal): Promise<void>;
  /** Drops everything; nothing is sent any more. May be called twice. */
  close(): void;
}
