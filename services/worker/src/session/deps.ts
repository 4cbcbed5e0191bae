import type {
  ConversationRecord,
  ConversationSecrets,
  Counters,
  EndReason,
  OutboundEvent,
  Ownership,
  RecordMetrics,
} from '@tavus-fleet/contracts';
import type { Clock } from '@tavus-fleet/lifecycle';
import type { Rooms } from '@tavus-fleet/rooms';
import type { SessionLedger, SessionTavus } from './conversations.ts';
import type { Entry, FramesSource } from './frames-in.ts';
import type { SessionMeters } from './output.ts';
import type { MediaOut } from './outputs/media-streams.ts';
import type { Succession } from './succession.ts';

/** How far a session came: what a successor needs and what the API shows. */
export type SessionProgress = {
  readonly position?: string;
  readonly positionMs?: number;
  readonly inferenceId?: string | null;
  readonly counters: Counters;
  readonly metrics: RecordMetrics;
};

/** `conversationUrl`: the Tavus room that an earlier owner was in. */
export type SessionSecrets = ConversationSecrets & { readonly conversationUrl?: string };

/** Fenced writes of one conversation's record. `fenced` = somebody else owns it now; a rejection = Redis is silent, nothing is known. */
export interface SessionRecords {
  secrets(): Promise<SessionSecrets>;
  /** `replacements`: how often it was begun anew at Tavus, this time included. */
  created(
    conversation: { conversationId: string; conversationUrl: string },
    replacements: number,
  ): Promise<'patched' | 'fenced'>;
  moveTo(state: 'starting' | 'live', metrics?: RecordMetrics): Promise<'moved' | 'refused' | 'fenced'>;
  /** From here on nobody else ends it; a successor finishes it with that reason. */
  stopping(reason: EndReason): Promise<'moved' | 'refused' | 'fenced'>;
  checkpoint(at: SessionProgress): Promise<'patched' | 'fenced'>;
  /** The last move, with the last counters in the same step. */
  end(reason: EndReason, at: SessionProgress): Promise<'moved' | 'refused' | 'fenced'>;
  append(event: OutboundEvent, signal: AbortSignal): Promise<boolean>;
  /** An earlier owner said that the avatar speaks, and nobody has said since that it does not. */
  leftSpeaking(): Promise<boolean>;
}

/** One conversation's frames stream. */
export interface SessionFrames extends FramesSource {
  subscribe(fromId: string, onEntries: (entries: readonly Entry[]) => void): () => void;
  /** Id of the newest entry there is; `0-0` = none. */
  newest(): Promise<string>;
}

export type SessionMetersAll = SessionMeters & {
  started(seconds: number): void;
  ended(reason: EndReason): void;
  /** From XADD to being taken from the stream; sampled. */
  frameAge(seconds: number): void;
};

/** The narrow part of pino that a session uses. */
export interface SessionLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Everything a session touches, made for one conversation by the worker. Borrowed: the session closes none of it. */
export type SessionDeps = {
  readonly workerId: string;
  readonly record: ConversationRecord;
  readonly ownership: Ownership;
  /** Redis' clock at the moment of acquiring, ms since 1970: ours may be off by minutes. */
  readonly redisNowMs: number;
  /** Empty for a first owner. */
  readonly succession: Succession;
  readonly records: SessionRecords;
  readonly frames: SessionFrames;
  /** The conversation's output streams. */
  readonly mediaOut: MediaOut;
  readonly tavus: SessionTavus;
  readonly ledger: SessionLedger;
  readonly rooms: Pick<Rooms, 'open'>;
  readonly userRoomHosts: readonly string[];
  readonly meters: SessionMetersAll;
  readonly clock: Clock;
  readonly log: SessionLog;
};
