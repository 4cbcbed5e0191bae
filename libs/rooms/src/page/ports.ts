import type { Command, FromPage, Hello, Identity } from '../wire.ts';

/** What main thread, worker and audio thread of one page say to each other. Structured clones, never text. */
export type ToWorker =
  | { readonly type: 'start'; readonly hello: Hello; readonly url: string }
  /** The ports of the two processors; PCM then flows from the socket to the audio thread without the main thread. */
  | { readonly type: 'audio-ports'; readonly ring: MessagePort; readonly gate: MessagePort }
  | { readonly type: 'listen'; readonly readable: ReadableStream<AudioData>; readonly pcm: boolean }
  | { readonly type: 'stop-listening' }
  | { readonly type: 'mute'; readonly on: boolean }
  | { readonly type: 'reset-ring' }
  | { readonly type: 'main-alive' }
  | { readonly type: 'identity'; readonly identity: Identity }
  | { readonly type: 'send'; readonly message: FromPage }
  | { readonly type: 'finish' };

export type FromWorker =
  | { readonly type: 'opened' }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'command'; readonly id: number; readonly command: Command }
  /** Worker timers are never throttled; the main thread has none of its own. `seconds`: a whole second has passed since the last such tick. */
  | { readonly type: 'tick'; readonly second: boolean; readonly audioPeak: number }
  /** No heartbeat for too long, or the channel closed: leave everything. */
  | { readonly type: 'abandoned'; readonly reason: string };

export type ToRing =
  | { readonly type: 'pcm'; readonly pcm: ArrayBuffer }
  | { readonly type: 'flush'; readonly id: number }
  | { readonly type: 'reset' }
  | Beat;
export type FromRing =
  | { readonly type: 'flushed'; readonly id: number; readonly consumed: number }
  | { readonly type: 'played'; readonly consumed: number; readonly waiting: number };
export type ToGate = { readonly type: 'open'; readonly on: boolean } | Beat;
/** Our process is alive. Both processors go silent by themselves when it stays away, even if every other thread of the page hangs. */
export type Beat = { readonly type: 'beat' };
