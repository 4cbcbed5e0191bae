import type { ConversationRecord, ConversationSecrets, Counters, EndReason, OutboundEvent, Ownership, RecordMetrics } from '@tavus-fleet/contracts';
import type { Clock } from '@tavus-fleet/lifecycle';
import type { Rooms } from '@tavus-fleet/rooms';
import type { SessionLedger, SessionTavus } from './conversations.ts';
import type { Entry, FramesSource } from './frames-in.ts';
import type { SessionMeters } from './output.ts';

/** Fenced writes of one conversation's record. `fenced` = somebody else owns it now; a rejection = Redis is silent, nothing is known. */
export interface SessionRecords {
  secrets(): Promise<ConversationSecrets>;
  created(conversation: { conversationId: string; conversationUrl: string }): Promise<'patched' | 'fenced'>;
  moveTo(state: 'starting' | 'live' | 'stopping', metrics?: RecordMetrics): Promise<'moved' | 'refused' | 'fenced'>;
  checkpoint(at: { position?: string; counters: Counters; metrics: RecordMetrics }): Promise<'patched' | 'fenced'>;
  end(reason: EndReason): Promise<'moved' | 'refused' | 'fenced'>;
  append(event: OutboundEvent, signal: AbortSignal): Promise<boolean>;
}

/** One conversation's frames stream. */
export interface SessionFrames extends FramesSource {
  subscribe(fromId: string, onEntries: (entries: readonly Entry[]) => void): () => void;
}

export type SessionMetersAll = SessionMeters & { started(seconds: number): void; ended(reason: EndReason): void };

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
  readonly records: SessionRecords;
  readonly frames: SessionFrames;
  readonly tavus: SessionTavus;
  readonly ledger: SessionLedger;
  readonly rooms: Rooms;
  readonly userRoomHosts: readonly string[];
  readonly meters: SessionMetersAll;
  readonly clock: Clock;
  readonly log: SessionLog;
};
