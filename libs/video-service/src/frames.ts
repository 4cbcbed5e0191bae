import type { ErrorCode, EventPayload, InboundFrame, SettingsDelta } from '@tavus-fleet/contracts';

export type Direction = 'downstream' | 'upstream';

/** Where in the conversation's input a frame stood, so that its owner learns how far was really played. Opaque here. */
export type Position = string;

/** What comes in: a backend's frame with its position. */
export type FrameIn = InboundFrame & { readonly position?: Position };

/** What the service says back, named after Pipecat's classes. */
export type FrameOut =
  | { readonly type: 'joined'; readonly participantId: string }
  | { readonly type: 'tts-started'; readonly context?: string }
  | { readonly type: 'tts-stopped'; readonly context?: string; readonly playedMs?: number }
  | { readonly type: 'bot-started-speaking' | 'bot-stopped-speaking'; readonly source: 'tavus' | 'audio' }
  | { readonly type: 'interrupted'; readonly playedMs: number; readonly droppedMs: number }
  | { readonly type: 'metrics'; readonly data: EventPayload<'metrics'> }
  | { readonly type: 'settings-updated'; readonly changed: Record<string, unknown>; readonly settings: SettingsDelta }
  | { readonly type: 'replica-joined'; readonly participantId: string; readonly userName?: string }
  | { readonly type: 'replica-left'; readonly participantId: string; readonly reason?: string }
  | { readonly type: 'message'; readonly fromId: string; readonly message: unknown }
  | { readonly type: 'frames-dropped'; readonly count: number; readonly ms: number; readonly why: DropReason }
  | { readonly type: 'error'; readonly code: ErrorCode; readonly fatal: boolean; readonly message: string };

/** Why input was not played: a closed list, the label of `fleet_frames_dropped_total`. */
export type DropReason =
  | 'interrupted'
  | 'canceled'
  | 'late'
  | 'after-end'
  | 'malformed'
  | 'overflow'
  | 'trimmed'
  | 'refused';

/** Where the service's frames go. Must not throw and must not block. */
export interface FrameSink {
  push(frame: FrameOut): void;
  /** Everything up to this position has been played (stream mode: consumed by the track; echo mode: sent). */
  played(position: Position, samples: number): void;
}
