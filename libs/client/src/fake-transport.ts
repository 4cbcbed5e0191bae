import {
  FleetError,
  InboundFrame,
  isFinal,
  splitRequest,
  viewOf,
  type ConversationState,
  type ConversationView,
  type EndReason,
  type EventEnvelope,
  type OutboundEvent,
  type StartRequest,
} from '@tavus-fleet/contracts';
import { Emitter, orAborted } from '@tavus-fleet/lifecycle';
import { durationMs } from './pcm.ts';
import type { Entry, FrameSender, MediaStream, Transport } from './transport.ts';

/** A fleet in memory whose worker takes every conversation, plays what it gets when told so, and obeys. */
export class FakeTransport implements Transport {
  readonly conversations = new Map<string, FakeConversation>();
  readonly #life = new AbortController();
  #playing = true;

  async start(request: StartRequest, requestId: string): Promise<{ conversationId: string; state: ConversationState }> {
    const conversationId = request.conversationId ?? requestId;
    if (this.conversations.has(conversationId))
      throw new FleetError('conversation-id-used', 'There is a conversation of that id.', { field: 'conversationId' });
    const conversation = new FakeConversation(conversationId, request);
    this.conversations.set(conversationId, conversation);
    conversation.playing = this.#playing;
    for (const state of ['queued', 'starting', 'live'] as const) conversation.tell({ type: 'state', data: { state } });
    return { conversationId, state: 'queued' };
  }

  async view(conversationId: string): Promise<ConversationView> {
    return this.of(conversationId).view;
  }

  async ask(conversationId: string, verb: 'stop' | 'cancel', reason: string | undefined): Promise<void> {
    const conversation = this.of(conversationId);
    if (isFinal(conversation.state)) return;
    conversation.frames.push({
      type: verb === 'stop' ? 'end' : 'cancel',
      ...(reason === undefined ? {} : { reason }),
    });
    conversation.end(verb === 'stop' ? 'stopped' : 'canceled');
  }

  frames(conversationId: string): FrameSender {
    return new FakeSender(this.of(conversationId));
  }

  async *events(conversationId: string, after: string, signal: AbortSignal): AsyncGenerator<EventEnvelope, void, void> {
    const { events } = this.of(conversationId);
    let at = events.findIndex(({ id }) => id === after) + 1;
    for (;;) {
      signal.throwIfAborted();
      const event = events[at];
      if (event) {
        at += 1;
        yield event;
        if (event.type === 'ended') return;
      } else await orAborted(this.of(conversationId).change(), AbortSignal.any([signal, this.#life.signal]));
    }
  }

  async *media(
    conversationId: string,
    stream: MediaStream,
    after: string,
    signal: AbortSignal,
  ): AsyncGenerator<Entry, void, void> {
    const conversation = this.of(conversationId);
    const entries = conversation.media[stream];
    let at = entries.findIndex(({ id }) => id === after) + 1;
    for (;;) {
      const entry = entries[at];
      if (entry) {
        at += 1;
        yield entry;
      } else if (isFinal(conversation.state)) return;
      else await orAborted(conversation.change(), AbortSignal.any([signal, this.#life.signal]));
    }
  }

  async close(): Promise<void> {
    this.#life.abort(new FleetError('shutting-down', 'The fleet was closed here.'));
  }

  playing(on: boolean): void {
    this.#playing = on;
    for (const conversation of this.conversations.values()) conversation.play(on);
  }

  of(conversationId: string): FakeConversation {
    const conversation = this.conversations.get(conversationId);
    if (conversation) return conversation;
    throw new FleetError('not-found', 'There is no such conversation.');
  }
}

/** What the fleet keeps of one conversation, where a test can look. */
export class FakeConversation {
  readonly frames: InboundFrame[] = [];
  readonly events: EventEnvelope[] = [];
  readonly media: Record<MediaStream, Entry[]> = { audio: [], video: [], userAudio: [] };
  readonly changed = new Emitter<void>(() => undefined);
  readonly #id: string;
  readonly #request: StartRequest;
  playing = true;
  /** Sound that is in the stream and was neither played nor dropped, ms. */
  waitingMs = 0;
  state: ConversationState = 'queued';
  /** Why no frame is accepted just now. */
  refusing: FleetError | undefined;

  constructor(id: string, request: StartRequest) {
    this.#id = id;
    this.#request = request;
  }

  get view(): ConversationView {
    return viewOf({
      conversationId: this.#id,
      state: this.state,
      epoch: 1,
      createdBy: 'fake',
      createdAt: 1,
      position: '0',
      positionMs: 0,
      replacements: 0,
      settings: {},
      counters: { framesIn: 0, framesMalformed: 0, framesDropped: 0, utterances: 0, interruptions: 0, playedMs: 0 },
      metrics: {},
      spec: splitRequest(this.#request).spec,
    });
  }

  tell(event: OutboundEvent): void {
    if (event.type === 'state') this.state = event.data.state;
    this.events.push({ id: `${this.events.length + 1}-0`, at: 1, epoch: 1, ...event });
    this.changed.emit();
  }

  end(endReason: EndReason): void {
    const state = endReason === 'stopped' ? 'ended' : 'canceled';
    this.tell({ type: 'state', data: { state, endReason } });
    this.tell({ type: 'ended', data: { endReason } });
  }

  take(frame: InboundFrame): void {
    this.frames.push(frame);
    if (frame.type === 'interruption') this.waitingMs = 0;
    else this.waitingMs += durationMs(frame);
    this.play(this.playing);
  }

  play(on: boolean): void {
    this.playing = on;
    if (on) this.waitingMs = 0;
    this.changed.emit();
  }

  change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const off = this.changed.on(() => {
      off();
      resolve();
    });
    return promise;
  }
}

class FakeSender implements FrameSender {
  readonly #conversation: FakeConversation;
  #acceptedMs = 0;
  #closed = false;

  constructor(conversation: FakeConversation) {
    this.#conversation = conversation;
  }

  get over(): boolean {
    return isFinal(this.#conversation.state);
  }

  get progress(): { acceptedMs: number; heardMs: number } {
    return { acceptedMs: this.#acceptedMs, heardMs: this.#acceptedMs - this.#conversation.waitingMs };
  }

  onProgress(listener: () => void): () => void {
    return this.#conversation.changed.on(listener);
  }

  async append(frame: InboundFrame, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const parsed = InboundFrame.safeParse(frame);
    if (!parsed.success)
      throw new FleetError('malformed-frame', 'Malformed.', { field: parsed.error.issues[0]?.path.join('.') ?? '' });
    await Promise.resolve(); // on its way
    signal?.throwIfAborted();
    if (this.#closed) throw new FleetError('shutting-down', 'The conversation was closed here.');
    if (this.over) throw new FleetError('conversation-over', 'The conversation takes no more frames.');
    if (this.#conversation.refusing) throw this.#conversation.refusing;
    this.#acceptedMs += durationMs(frame);
    this.#conversation.take(frame);
  }

  close(): void {
    this.#closed = true;
  }
}
