import {
  FleetError,
  SettingsDelta,
  type ConversationState,
  type ConversationView,
  type EndReason,
  type EventEnvelope,
} from '@tavus-fleet/contracts';
import { orAborted, withDeadline } from '@tavus-fleet/lifecycle';
import { z } from 'zod';
import { checked } from './checked.ts';
import { readAudio, readUserAudio, readVideo, type AudioBlock, type Picture, type UserAudioBlock } from './media.ts';
import type { Entry, FrameSender, MediaStream, Transport } from './transport.ts';
import type { Pcm, Said } from './utterance.ts';
import { Utterances, type SayOptions } from './utterances.ts';
import { Watch } from './watch.ts';

export type CallOptions = {
  readonly signal?: AbortSignal;
  /** Default: the fleet's `timeoutMs`. */
  readonly timeoutMs?: number;
};
export type ReadOptions = {
  readonly signal?: AbortSignal;
  /** Id of the last entry that was seen: go on behind it. Default `0`, the oldest that is kept. */
  readonly after?: string;
};
export type Limits = { readonly timeoutMs: number; readonly aheadMs: number };

/** A talking avatar that a fleet looks after. Made by `fleet.start()`, or found again by `fleet.conversation(id)`. */
export class Conversation implements AsyncDisposable {
  readonly id: string;
  readonly #transport: Promise<Transport>;
  readonly #limits: Limits;
  readonly #ours: boolean;
  readonly #onClose: () => void;
  readonly #life = new AbortController();
  readonly #watch: Watch;
  readonly #utterances: Utterances;
  #sender: Promise<FrameSender> | undefined;
  #openSender: FrameSender | undefined;
  #asked = false;

  /** Not for callers: `fleet.start()` and `fleet.conversation()` make them. */
  constructor(options: {
    id: string;
    state: ConversationState;
    transport: Promise<Transport>;
    limits: Limits;
    /** Started here: whoever disposes of it wants it to end. */
    ours: boolean;
    onClose: () => void;
  }) {
    const { id, state, transport, limits, ours, onClose } = options;
    this.id = id;
    this.#transport = transport;
    this.#limits = limits;
    this.#ours = ours;
    this.#onClose = onClose;
    this.#watch = new Watch(state, (after, signal) => this.#events(after, signal), this.#life.signal);
    this.#utterances = new Utterances({
      sender: () => this.#frames(),
      aheadMs: limits.aheadMs,
      ended: () => this.#watch.ended,
    });
    this.#watch.on((event) => this.#utterances.told(event));
  }

  /** As last heard from the fleet. Kept up from the first time that it is asked for. */
  get state(): ConversationState {
    return this.#watch.state;
  }

  /** Resolves with the reason when the conversation is over; nothing of it runs any more. */
  get ended(): Promise<EndReason> {
    return this.#watch.ended;
  }

  /** Speech that was accepted and is not yet heard, ms. `say` keeps it within `aheadMs`. */
  get bufferedMs(): number {
    const { acceptedMs = 0, heardMs = 0 } = this.#openSender?.progress ?? {};
    return this.#watch.isOver ? 0 : Math.round(acceptedMs - heardMs);
  }

  /** Resolves when the avatar is there and listens. Rejects with `conversation-over` when it ends before. No deadline of its own: the fleet has one (`limits.startTimeoutSeconds`). */
  async live({ signal }: Pick<CallOptions, 'signal'> = {}): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const off = this.#watch.on(() => this.#watch.state === 'live' && resolve());
    try {
      if (this.state === 'live') return;
      const over = this.ended.then((reason) => {
        throw new FleetError('conversation-over', `The conversation ended before it was live: ${reason}.`);
      });
      await orAborted(
        Promise.race([promise, over]),
        signal ? AbortSignal.any([signal, this.#life.signal]) : this.#life.signal,
      );
    } finally {
      off();
    }
  }

  /** What the fleet has written down about it: state, worker, counters, metrics. Over Redis `not-found` until a worker has seen its job. */
  view(options: CallOptions = {}): Promise<ConversationView> {
    return this.#call('Reading the conversation', options, (transport, signal) => transport.view(this.id, signal));
  }

  /**
   * Lets the avatar speak: one utterance. Resolves when all of it is accepted, or an interruption cut it; `played` in its answer when it
   * was heard. It may be called while another one runs: they are sent one after the other. May be called before the conversation is live.
   */
  async say(speech: Pcm, options: SayOptions): Promise<Said> {
    checked(SayShape, { rate: options.rate, channels: options.channels, context: options.context }, 'options');
    this.#watch.follow(); // an interruption from elsewhere cuts it too
    return this.#utterances.say(speech, options);
  }

  /** Silences the avatar now and drops what it was still to say, also what is being sent. Resolves when the fleet has it. */
  interrupt({ reason, ...options }: CallOptions & { readonly reason?: string } = {}): Promise<void> {
    return this.#call('Interrupting', options, () => this.#utterances.interrupt(reason));
  }

  /** Other settings, in order with what was said. The event `settings-updated` tells when it has happened. */
  updateSettings(settings: SettingsDelta, options: CallOptions = {}): Promise<void> {
    return this.#call('Changing settings', options, async (_, signal) => {
      const delta = checked(SettingsDelta, settings, 'settings');
      await (await this.#frames()).append({ type: 'settings-update', settings: delta }, signal);
    });
  }

  /** A message to the avatar's room, in order with what was said: any JSON value that Tavus understands, for example an interaction. */
  send(message: unknown, options: CallOptions = {}): Promise<void> {
    return this.#call('Sending a message', options, async (_, signal) => {
      const value = checked(z.json(), message, 'message');
      await (await this.#frames()).append({ type: 'message', message: value }, signal);
    });
  }

  /** Ends it after what was said before has been heard. Waits until that is accepted, then asks; `ended` says when it is over. */
  async stop({ reason, ...options }: CallOptions & { readonly reason?: string } = {}): Promise<void> {
    this.#asked = true;
    const { signal } = options;
    await (signal ? orAborted(this.#utterances.settled, signal) : this.#utterances.settled);
    await this.#call('Stopping', options, (transport, own) => transport.ask(this.id, 'stop', reason, own));
  }

  /** Ends it now; what was not heard is dropped. */
  cancel({ reason, ...options }: CallOptions & { readonly reason?: string } = {}): Promise<void> {
    this.#asked = true;
    return this.#call('Canceling', options, (transport, signal) => transport.ask(this.id, 'cancel', reason, signal));
  }

  /** What happens, from the beginning or behind `after`; each event once and in order, also over cuts. Ends after `ended`. */
  async *events({ signal, after = '0' }: ReadOptions = {}): AsyncGenerator<EventEnvelope, void, void> {
    yield* this.#events(after, this.#until(signal));
  }

  /** The avatar's voice (`output.streams.audio`), about 20 ms a block. Redis only. Whoever falls behind by half a minute misses what was dropped. */
  audio(options: ReadOptions = {}): AsyncGenerator<AudioBlock, void, void> {
    return readAudio(this.#media('audio', options));
  }

  /** The avatar's pictures (`output.streams.video`). Redis only. */
  video(options: ReadOptions = {}): AsyncGenerator<Picture, void, void> {
    return readVideo(this.#media('video', options));
  }

  /** What users say (`output.userAudio`), and who says it. Redis only. */
  userAudio(options: ReadOptions = {}): AsyncGenerator<UserAudioBlock, void, void> {
    return readUserAudio(this.#media('userAudio', options));
  }

  /** Gives back what is open here; the conversation itself goes on. May be called twice. */
  async close(): Promise<void> {
    if (this.#life.signal.aborted) return;
    this.#life.abort(closedError());
    this.#openSender?.close();
    this.#onClose();
  }

  /** Leaving its scope ends a conversation that was started here and that nobody has asked to end (as `stop()` does); then as `close()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#ours && !this.#asked && !this.#watch.isOver && !this.#life.signal.aborted) await this.stop();
    } finally {
      await this.close();
    }
  }

  async *#events(after: string, signal: AbortSignal): AsyncGenerator<EventEnvelope, void, void> {
    yield* (await this.#transport).events(this.id, after, signal);
  }

  async *#media(stream: MediaStream, { after = '0', signal }: ReadOptions): AsyncGenerator<Entry, void, void> {
    yield* (await this.#transport).media(this.id, stream, after, this.#until(signal));
  }

  #frames(): Promise<FrameSender> {
    if (this.#life.signal.aborted) return Promise.reject(closedError());
    this.#sender ??= this.#transport.then((transport) => (this.#openSender = transport.frames(this.id)));
    return this.#sender;
  }

  #until(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#life.signal]) : this.#life.signal;
  }

  async #call<T>(
    what: string,
    { signal, timeoutMs = this.#limits.timeoutMs }: CallOptions,
    work: (transport: Transport, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const transport = await this.#transport;
    return withDeadline({ what, ms: timeoutMs, signal: this.#until(signal) }, (own) => work(transport, own));
  }
}

const SayShape = z.object({
  rate: z.int().min(8_000).max(48_000),
  channels: z.union([z.literal(1), z.literal(2)]).optional(),
  context: z.string().min(1).max(128).optional(),
});

const closedError = (): FleetError => new FleetError('shutting-down', 'The conversation was closed here.');
