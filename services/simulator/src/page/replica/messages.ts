import type { ReplicaPageOptions } from '../../replica/page-options.ts';
import type { VoiceReport } from '../../replica/voice/voice.ts';

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

/** Worker → audio thread. */
export type ToVoice =
  | {
      readonly type: 'echo';
      readonly inferenceId: string;
      readonly samples: Float32Array<ArrayBuffer>;
      readonly isDone: boolean;
    }
  | { readonly type: 'interrupt' }
  | { readonly type: 'mute'; readonly on: boolean };
/** Audio thread → worker. */
export type FromVoice = VoiceReport;
