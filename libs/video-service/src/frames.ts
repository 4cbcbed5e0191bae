import type { ErrorCode, EventPayload, InboundFrame, SettingsDelta, VideoFormat } from '@tavus-fleet/contracts';

export type Direction = 'downstream' | 'upstream';

/** Where in the conversation's input a frame stood, so that its owner learns how far was really played. Opaque here. */
export type Position = string;

/** What a backend sends, with its position. */
export type FrameIn = InboundFrame & { readonly position?: Position };

/** What the processors around the service send it besides. */
export type ProcessorFrame =
  /** The transport behind us takes media from now on (Pipecat's OutputTransportReadyFrame). */
  | { readonly type: 'output-transport-ready' }
  /** The transport behind us began or ceased to play the avatar's voice. */
  | { readonly type: 'bot-started-speaking' | 'bot-stopped-speaking' }
  /** Any frame that is not the service's business, as it came: passed on in its direction, untouched. */
  | { readonly type: 'other'; readonly frame: unknown };

/** Frames that leave as they came. */
export type PassedFrame = Extract<ProcessorFrame, { type: 'output-transport-ready' | 'other' }>;

/** What the service says back, named after Pipecat's classes. */
export type FrameOut =
  | { readonly type: 'joined'; readonly participantId: string }
  | { readonly type: 'tts-started'; readonly context?: string }
  | { readonly type: 'tts-stopped'; readonly context?: string; readonly playedMs?: number }
  | { readonly type: 'bot-started-speaking' | 'bot-stopped-speaking'; readonly source: 'tavus' | 'audio' | 'transport' }
  | {
      readonly type: 'interrupted';
      readonly playedMs: number;
      readonly droppedMs: number;
      /** Of the utterance that was cut. */
      readonly context?: string;
      /** Context of the frame that asked for it. */
      readonly by?: string;
    }
  | { readonly type: 'metrics'; readonly data: EventPayload<'metrics'> }
  | { readonly type: 'settings-updated'; readonly changed: Record<string, unknown>; readonly settings: SettingsDelta }
  | { readonly type: 'replica-joined'; readonly participantId: string; readonly userName?: string }
  | { readonly type: 'replica-left'; readonly participantId: string; readonly reason?: string }
  | { readonly type: 'message'; readonly fromId: string; readonly message: unknown }
  /** The avatar's voice, only with `outputs.audio`: Pipecat's SpeechOutputAudioRawFrame. */
  | {
      readonly type: 'speech-output-audio';
      readonly audio: Uint8Array;
      readonly rate: number;
      readonly channels: 1;
      /** When it began to be heard, ms since 1970; Pipecat's `pts`. */ readonly pts: number;
    }
  /** The avatar's picture, only with `outputs.video`: Pipecat's OutputImageRawFrame, but compressed. */
  | {
      readonly type: 'output-image';
      readonly image: Uint8Array;
      readonly format: VideoFormat;
      readonly width: number;
      readonly height: number;
      /** Can be shown without any before it. */ readonly key: boolean;
      /** On the clock of the sound. */ readonly pts: number;
    }
  | PassedFrame
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

/** How far the playing is between two positions, for whoever wants to go on from there. */
export type Progress = {
  /** Samples (24 kHz) played since the start. */
  readonly samples: number;
  /** Of the sound behind the position so much was played, ms: one frame may hold many seconds. */
  readonly intoMs: number;
  /** Echo mode: of the utterance that is being sent. */
  readonly inferenceId?: string;
};

/** Where the service's frames go. Must not throw and must not block. Without a direction: downstream. */
export interface FrameSink {
  push(frame: FrameOut, direction?: Direction): void;
  /** Everything up to this position (undefined: the last one said) has been played (stream mode: consumed by the track; echo mode: sent). */
  played(position: Position | undefined, progress: Progress): void;
}
