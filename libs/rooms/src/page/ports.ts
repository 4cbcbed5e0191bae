import type { Delays } from '../picture-clock.ts';
import type { PictureOptions } from '../port.ts';
import type { Command, FromPage, Hello } from '../wire.ts';

/** What main thread, worker and audio thread of one page say to each other. Structured clones, never text. */
export type ToWorker =
  | { readonly type: 'start'; readonly hello: Hello; readonly url: string }
  /** The ring's port: PCM then flows from the socket to the audio thread without the main thread. */
  | { readonly type: 'ring'; readonly ring: MessagePort }
  /** Where the user room's sound is to be written. */
  | { readonly type: 'user-audio'; readonly writable: WritableStream<AudioData> }
  | { readonly type: 'listen'; readonly readable: ReadableStream<AudioData>; readonly pcm: boolean }
  | { readonly type: 'stop-listening' }
  /** The watched picture, to be handed out as JPEG. */
  | {
      readonly type: 'picture-track';
      readonly readable: ReadableStream<VideoFrame>;
      readonly options: Extract<PictureOptions, { format: 'jpeg' }>;
    }
  /** The receiver (the number its transform was given) whose encoded pictures are to be handed out. */
  | { readonly type: 'picture-receiver'; readonly receiver: number; readonly maxFps?: number }
  | { readonly type: 'stop-pictures' }
  | { readonly type: 'delays'; readonly delays: Delays }
  | { readonly type: 'hear-user'; readonly participantId: string; readonly readable: ReadableStream<AudioData> }
  | { readonly type: 'stop-hearing-user'; readonly participantId: string }
  | { readonly type: 'mute'; readonly on: boolean }
  /** Answered with `hushed` when nothing passes the gate any more. */
  | { readonly type: 'hush'; readonly maxMs: number }
  | { readonly type: 'reset-ring' }
  | { readonly type: 'main-alive' }
  | { readonly type: 'send'; readonly message: FromPage }
  | { readonly type: 'finish' };

/** `options` of the transform that the main thread puts on a receiver of pictures. */
export type TeeOptions = { readonly receiver: number };

export type FromWorker =
  | { readonly type: 'opened' }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'command'; readonly id: number; readonly command: Command }
  | { readonly type: 'hushed' }
  /** Worker timers are never throttled; the main thread has none of its own. `seconds`: a whole second has passed since the last such tick. */
  | { readonly type: 'tick'; readonly second: boolean; readonly audioPeak: number }
  /** No heartbeat for too long, or the channel closed: leave everything. */
  | { readonly type: 'abandoned'; readonly reason: string };

export type ToRing =
  | { readonly type: 'pcm'; readonly pcm: ArrayBuffer }
  | { readonly type: 'flush'; readonly id: number }
  | { readonly type: 'reset' }
  /** Our process is alive. The ring goes silent by itself when it stays away, even if every other thread of the page hangs. */
  | { readonly type: 'beat' };
export type FromRing =
  | { readonly type: 'flushed'; readonly id: number; readonly consumed: number }
  | { readonly type: 'played'; readonly consumed: number; readonly waiting: number };
