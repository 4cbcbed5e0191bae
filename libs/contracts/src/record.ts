import { z } from 'zod';
import { EndReason } from './end-reason.ts';
import { ConversationId, WorkerId } from './ids.ts';
import { SettingsDelta } from './settings.ts';
import { ConversationSpec } from './start-request.ts';
import { ConversationState, Desired } from './state.ts';

/**
 * `createdBy` of a record whose start came straight through the queue: from somebody with access to Redis, not through an API
 * key. Not a key's name: those have no parentheses.
 */
export const BY_QUEUE = '(queue)';

export const Counters = z.object({
  framesIn: z.int().nonnegative().default(0),
  framesMalformed: z.int().nonnegative().default(0),
  framesDropped: z.int().nonnegative().default(0),
  utterances: z.int().nonnegative().default(0),
  interruptions: z.int().nonnegative().default(0),
  playedMs: z.number().nonnegative().default(0),
});
export type Counters = z.infer<typeof Counters>;

export const RecordMetrics = z.object({
  startMs: z.number().nonnegative().optional(),
  lastTtfbMs: z.number().nonnegative().optional(),
  videoFps: z.number().nonnegative().optional(),
});
export type RecordMetrics = z.infer<typeof RecordMetrics>;

/** A conversation's record: the truth about it, in a Redis hash of text fields. Times are ms since 1970 by Redis' clock. */
export const ConversationRecord = z.object({
  conversationId: ConversationId,
  state: ConversationState,
  desired: Desired.optional(),
  epoch: z.int().nonnegative(),
  ownerNonce: z.string().optional(),
  owner: WorkerId.optional(),
  createdBy: z.string(),
  /** The trace in which it was asked for (W3C), so that whoever takes the conversation over goes on in it. Not worth a record: nonsense is none. */
  traceparent: z.string().max(128).optional().catch(undefined),
  spec: ConversationSpec,
  settings: SettingsDelta.prefault({}),
  tavusConversationId: z.string().optional(),
  /** Tavus' word on the end of a call: its id, a space, the reason as it came. */
  tavusShutdown: z.string().optional(),
  /** Id of the last entry of the frames stream that was played; `0` = none. */
  position: z.string().default('0'),
  /** How much of the sound behind `position` was played too, ms: an entry may hold many seconds. */
  positionMs: z.number().nonnegative().default(0),
  /** When that was saved. */
  positionAt: z.number().optional(),
  /** Echo mode: of the utterance that is being sent; absent between utterances. */
  inferenceId: z.string().optional(),
  /** Why it is stopping, for a successor that has to finish what its predecessor began. */
  stopReason: EndReason.optional(),
  /** How often it was begun anew at Tavus because its replica was lost. */
  replacements: z.int().nonnegative().default(0),
  createdAt: z.number(),
  startedAt: z.number().optional(),
  liveAt: z.number().optional(),
  endedAt: z.number().optional(),
  endReason: EndReason.optional(),
  counters: Counters.prefault({}),
  metrics: RecordMetrics.prefault({}),
});
export type ConversationRecord = z.infer<typeof ConversationRecord>;
