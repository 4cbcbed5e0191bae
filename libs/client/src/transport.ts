import type {
  ConversationState,
  ConversationView,
  EventEnvelope,
  InboundFrame,
  StartRequest,
} from '@tavus-fleet/contracts';

/** One entry of a stream as it is in Redis. */
export type Entry = { readonly id: string; readonly fields: ReadonlyMap<string, Uint8Array> };

export type MediaStream = 'audio' | 'video' | 'userAudio';

/**
 * How a fleet is reached: straight through Redis, or by its api. Every call rejects with a FleetError, or with the signal's reason;
 * what may be tried again (`error.retry`) has been tried until the signal aborted. `after` is the id of the last entry that was seen, `0` = none.
 */
export interface Transport {
  /** Resolves when the request is written down. Asking twice with one `requestId` is asking once. */
  start(
    request: StartRequest,
    requestId: string,
    signal: AbortSignal,
  ): Promise<{ readonly conversationId: string; readonly state: ConversationState }>;
  view(conversationId: string, signal: AbortSignal): Promise<ConversationView>;
  /** Resolves also when it was asked before, or the conversation is over: what is asked for is so. */
  ask(conversationId: string, verb: 'stop' | 'cancel', reason: string | undefined, signal: AbortSignal): Promise<void>;
  /** A way in of its own; the caller closes it. */
  frames(conversationId: string): FrameSender;
  /** Each event once and in order, also over cuts. Ends after `ended`, or when nothing can follow any more. */
  events(conversationId: string, after: string, signal: AbortSignal): AsyncIterable<EventEnvelope>;
  /**
   * Each entry once and in order, unless it was trimmed before it was read. Ends when the conversation is over and all is read. Throws
   * `redis-only` where the way has no such streams.
   */
  media(conversationId: string, stream: MediaStream, after: string, signal: AbortSignal): AsyncIterable<Entry>;
  /** Everything that is under way ends. May be called twice. */
  close(): Promise<void>;
}

/** One producer of one conversation: frames in order, each once, also over cuts. */
export interface FrameSender {
  /**
   * Resolves when the frame is in the stream. Frames stay in the order of the calls. `signal` withdraws one that is not yet on its way;
   * one that is may still arrive. Rejects with `conversation-over`, `malformed-frame`, or what kept it out until the sender's patience ended.
   */
  append(frame: InboundFrame, signal?: AbortSignal): Promise<void>;
  /** Of the sound that was appended: what is in the stream, and of that what the avatar has played or an interruption dropped. ms. */
  readonly progress: { readonly acceptedMs: number; readonly heardMs: number };
  /** Calls back when `progress` has changed, or the conversation is over; the answer stops it. */
  onProgress(listener: () => void): () => void;
  /** The conversation takes no more frames. */
  readonly over: boolean;
  /** What waits is rejected with `shutting-down`. May be called twice. */
  close(): void;
}
