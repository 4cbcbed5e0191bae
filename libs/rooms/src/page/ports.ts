import type { Command, FromPage, Hello, Identity } from '../wire.ts';

/** What main thread, worker and audio thread of one page say to each other. Structured clones, never text. */
export type ToWorker =
  | { readonly type: 'start'; readonly hello: Hello; readonly url: string }
  /** The ring's port: PCM then flows from the socket to the audio thread without the main thread. */
  | { readonly type: 'ring'; readonly ring: MessagePort }
  /** Where the user room's sound is to be written. */
  | { readonly type: 'user-audio'; readonly writable: WritableStream<AudioData> }
  | { readonly type: 'listen'; readonly readable: ReadableStream<AudioData>; readonly pcm: boolean }
  | { readonly type: 'stop-listening' }
  | { readonly type: 'mute'; readonly on: boolean }
  /** Answered with `hushed` when nothing passes the gate any more. */
  | { readonly type: 'hush'; readonly maxMs: number }
  | { readonly type: 'reset-ring' }
  | { readonly type: 'main-alive' }
  | { readonly type: 'identity'; readonly identity: Identity }
  | { readonly type: 'send'; readonly message: FromPage }
  | { readonly type: 'finish' };

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
