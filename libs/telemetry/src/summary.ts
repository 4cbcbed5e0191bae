import type { EndReason } from '@tavus-fleet/contracts';

/**
 * The story of one session in one line; who it was (conversation, epoch, worker) stands there by the session's own logger.
 * Durations in ms; absent means it never got there.
 */
export type SessionSummary = {
  /** Absent when the session was handed over or lost: the conversation goes on elsewhere, see `outcome`. */
  readonly endReason?: EndReason | undefined;
  readonly outcome?: 'ended' | 'handed-over' | 'lost' | undefined;
  readonly tavusConversationId?: string | undefined;
  /** From being asked for to live, waiting in the queue included. */
  readonly startMs?: number | undefined;
  readonly liveMs?: number | undefined;
  readonly closeMs?: number | undefined;
  readonly framesIn?: number | undefined;
  readonly framesMalformed?: number | undefined;
  readonly framesDropped?: number | undefined;
  readonly utterances?: number | undefined;
  readonly interruptions?: number | undefined;
  readonly playedMs?: number | undefined;
  readonly lastTtfbMs?: number | undefined;
  readonly videoFps?: number | undefined;
};

const order = [
  'endReason',
  'outcome',
  'tavusConversationId',
  'startMs',
  'liveMs',
  'closeMs',
  'framesIn',
  'framesMalformed',
  'framesDropped',
  'utterances',
  'interruptions',
  'playedMs',
  'lastTtfbMs',
  'videoFps',
] as const satisfies readonly (keyof SessionSummary)[];

/** Writes the one line that tells a session's story: message `session ended`, fields always in the same order, numbers rounded, nothing else let through. */
export function summaryLine(log: { info(fields: object, message: string): void }, summary: SessionSummary): void {
  const fields = order.flatMap((name) => {
    const value = summary[name];
    if (value === undefined) return [];
    return [[name, typeof value === 'number' ? Math.round(value * 10) / 10 : value] as const];
  });
  log.info(Object.fromEntries(fields), 'session ended');
}
