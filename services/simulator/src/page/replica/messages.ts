import type { ReplicaPageOptions } from '../../replica/page-options.ts';
import type { VoiceOptions, VoiceReport } from '../../replica/voice/voice.ts';

/** Window → worker. */
export type ToWorker =
  | {
      readonly type: 'start';
      readonly options: ReplicaPageOptions;
      readonly voice: MessagePort;
      readonly video: WritableStream<VideoFrame> | null;
      readonly socketUrl: string;
    }
  | { readonly type: 'app-message'; readonly data: unknown }
  | { readonly type: 'stop' };
/** Worker → window. */
export type FromWorker = { readonly type: 'send'; readonly data: unknown } | { readonly type: 'stopped' };

/** Window → voice worker. */
export type ToVoiceWorker =
  | {
      readonly type: 'start';
      readonly options: VoiceOptions;
      readonly port: MessagePort;
      readonly microphone: WritableStream<AudioData>;
    }
  | { readonly type: 'hear'; readonly id: string; readonly readable: ReadableStream<AudioData> }
  /** Which of them are heard, the leading one first. */
  | { readonly type: 'connect'; readonly ids: readonly string[] };
/** Worker → voice worker. */
export type ToVoice =
  | {
      readonly type: 'echo';
      readonly inferenceId: string;
      readonly samples: Float32Array<ArrayBuffer>;
      readonly isDone: boolean;
    }
  | { readonly type: 'interrupt' }
  | { readonly type: 'mute'; readonly on: boolean };
/** Voice worker → worker. */
export type FromVoice = VoiceReport;
