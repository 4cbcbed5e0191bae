import {
  FleetError,
  isFinal,
  type ConversationState,
  type EndReason,
  type EventEnvelope,
} from '@tavus-fleet/contracts';
import { Emitter } from '@tavus-fleet/lifecycle';

/**
 * State and end of one conversation, as its events say them. It follows them by itself from the first time that somebody wants to
 * know; until then it knows what others tell it.
 */
export class Watch {
  readonly #events: (after: string, signal: AbortSignal) => AsyncIterable<EventEnvelope>;
  readonly #signal: AbortSignal;
  readonly #ended = Promise.withResolvers<EndReason>();
  readonly #told = new Emitter<EventEnvelope>(() => undefined);
  #state: ConversationState;
  #last = '0';
  #following = false;

  constructor(
    state: ConversationState,
    events: (after: string, signal: AbortSignal) => AsyncIterable<EventEnvelope>,
    signal: AbortSignal,
  ) {
    this.#state = state;
    this.#events = events;
    this.#signal = signal;
    this.#ended.promise.catch(() => undefined); // it may be that nobody waits for the end; who does is told
  }

  get state(): ConversationState {
    this.follow();
    return this.#state;
  }

  /** Resolves with the reason; rejects when the events cannot be followed any more, or the conversation was closed here. */
  get ended(): Promise<EndReason> {
    this.follow();
    return this.#ended.promise;
  }

  /** Whether it is over, without asking anybody. */
  get isOver(): boolean {
    return isFinal(this.#state);
  }

  on(listener: (event: EventEnvelope) => void): () => void {
    return this.#told.on(listener);
  }

  follow(): void {
    if (this.#following) return;
    this.#following = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      for await (const event of this.#events(this.#last, this.#signal)) {
        this.#last = event.id;
        if (event.type === 'state') this.#state = event.data.state;
        if (event.type === 'ended') this.#ended.resolve(event.data.endReason);
        this.#told.emit(event);
      }
      this.#ended.reject(new FleetError('not-found', 'Its events are gone: it ended more than an hour ago.'));
    } catch (error) {
      this.#ended.reject(error);
    }
  }
}
