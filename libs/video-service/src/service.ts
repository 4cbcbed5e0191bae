import { asFleetError, FleetError, type EndReason, type SettingsDelta } from '@tavus-fleet/contracts';
import { Latch, retry, withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import type { Room, RoomEvent } from '@tavus-fleet/rooms';
import { interruptMessage } from '@tavus-fleet/tavus';
import type { ConversationApi } from './conversation-api.ts';
import { EchoMessages } from './echo-messages.ts';
import type { FrameIn, FrameSink } from './frames.ts';
import { ReplicaWatch } from './replica-watch.ts';
import { TavusVideoSettings } from './settings.ts';
import { Speaking } from './speaking.ts';
import { Speech } from './speech.ts';
import { untilQuiet } from './stop.ts';
import { StreamTrack } from './stream-track.ts';
import { TtfbMeter } from './ttfb.ts';

/** The bot's name in the Tavus room is exactly this: replicas in stream mode look for its track by that name (observed). */
const BOT_NAME = 'Pipecat';
const JOIN_MS = 10_000;
const MESSAGE_MS = 3_000;
const LEAVE_MS = 3_000;

export type TavusVideoServiceOptions = {
  readonly api: ConversationApi;
  readonly room: Room;
  readonly sink: FrameSink;
  readonly clock: Clock;
  readonly mode: 'stream' | 'echo';
  readonly settings?: SettingsDelta;
  readonly audioOnly?: boolean;
};

/**
 * One Tavus conversation: setup → start → frames → stop or cancel → cleanup. The calls are idempotent and may come in any
 * order; whatever was created is left and ended exactly once. It owns the conversation, not the room (its maker closes that).
 */
export class TavusVideoService {
  readonly #options: TavusVideoServiceOptions;
  readonly #settings: TavusVideoSettings;
  readonly #replica: ReplicaWatch;
  readonly #speaking = new Speaking();
  readonly #ttfb = new TtfbMeter();
  readonly #over = new Latch<{ reason: EndReason; error: FleetError }>();
  readonly #life = new AbortController();
  readonly #unsubscribe: () => void;
  #speech: Speech | undefined;
  #conversationId: string | undefined;
  #creating: ReturnType<ConversationApi['create']> | undefined;
  #joining: { url: string; token?: string } | undefined;
  #ended: Promise<void> | undefined;

  constructor(options: TavusVideoServiceOptions) {
    this.#options = options;
    this.#settings = new TavusVideoSettings(options.settings);
    this.#replica = new ReplicaWatch(options.room, options.sink, options.clock, { video: !options.audioOnly });
    this.#unsubscribe = options.room.on((event) => this.#onRoom(event));
    void this.#replica.lost.then((error) => this.#over.set({ reason: 'replica-lost', error }));
  }

  /** Resolves when the conversation cannot go on by itself: with the reason to end it. Never rejects. */
  get over(): Promise<{ reason: EndReason; error: FleetError }> {
    return this.#over.promise;
  }

  /** Accepted speech that nobody has heard yet: the back-pressure for whoever feeds frames. */
  get bufferedMs(): number {
    return this.#speech?.bufferedMs ?? 0;
  }

  canGenerateMetrics(): boolean {
    return true;
  }

  /** Creates the Tavus conversation. On failure nothing is left behind. */
  async setup(signal: AbortSignal): Promise<{ conversationId: string; conversationUrl: string }> {
    this.#life.signal.throwIfAborted();
    this.#creating = this.#options.api.create(signal);
    const created = await this.#creating;
    this.#conversationId = created.conversationId;
    this.#joining = { url: created.conversationUrl, ...(created.meetingToken === undefined ? {} : { token: created.meetingToken }) };
    return created;
  }

  /** Joins, publishes, finds the replica; resolves when its first picture arrived. The caller bounds how long. */
  async start(signal: AbortSignal): Promise<void> {
    const { room, api, mode, sink } = this.#options;
    if (!this.#joining || this.#conversationId === undefined) throw new FleetError('internal', 'start() needs a setup() that succeeded.');
    const { joining, id } = { joining: this.#joining, id: this.#conversationId };
    void this.#nameReplica(api, signal);
    const joined = await retry({ attempts: 3, firstMs: 200, maxMs: 1_000 }, { signal, clock: this.#options.clock }, () =>
      withDeadline({ signal, ms: JOIN_MS, what: 'Joining the Tavus room', code: 'room-join-failed' }, (own) => room.join({ ...joining, userName: BOT_NAME }, own)),
    );
    sink.push({ type: 'joined', participantId: joined.participantId });
    if (mode === 'stream') await room.publishStream(signal);
    const played = (position: string, samples: number): void => sink.played(position, samples);
    const out = mode === 'stream' ? new StreamTrack(room, this.#options.clock, played) : new EchoMessages({ room, clock: this.#options.clock, conversationId: id, maxMessageLength: joined.maxMessageLength, onPlayed: played, sink });
    this.#speech = new Speech(out, sink, room, this.#options.clock, (own) => room.send(interruptMessage(id), own));
    this.#replica.present(joined.participants);
    await abortable(this.#replica.arrived, signal);
  }

  /** Takes one frame, in order; interruptions and settings act at once. After stop or cancel frames are dropped and counted. */
  processFrame(frame: FrameIn): void {
    const speech = this.#speech;
    if (!speech || this.#life.signal.aborted) return this.#options.sink.push({ type: 'frames-dropped', count: 1, ms: 0, why: 'after-end' });
    switch (frame.type) {
      case 'tts-started':
        this.#ttfb.start(this.#options.clock.now());
        return speech.process(frame);
      case 'tts-audio':
      case 'tts-stopped':
        return speech.process(frame);
      case 'interruption':
        this.#ttfb.cancel();
        return void speech.interrupt(this.#life.signal);
      case 'settings-update': {
        const changed = this.#settings.applyUpdate(frame.settings);
        this.#options.sink.push({ type: 'settings-updated', changed, settings: frame.settings });
        return speech.mark(frame.position);
      }
      case 'message':
        void this.#send(frame.message);
        return speech.mark(frame.position);
      case 'end':
      case 'cancel':
        return; // lifecycle belongs to the owner, who calls stop() or cancel()
      default:
        return frame satisfies never;
    }
  }

  /** Everything accepted is heard (bounded by what is waiting), then leave, then end. */
  async stop(signal: AbortSignal): Promise<void> {
    const speech = this.#speech;
    if (speech && !this.#ended && !this.#over.isSet) {
      const boundMs = speech.bufferedMs + 8_000;
      const draining = withDeadline({ signal, ms: boundMs, what: 'Draining', clock: this.#options.clock }, async (own) => {
        await speech.drained(own);
        await untilQuiet(speech, this.#options.clock, own);
      });
      await draining.catch((error: unknown) => {
        if (!signal.aborted) this.#warn(error);
      });
    }
    await this.#end(signal);
  }

  /** At once: what waits is dropped, leave, end. */
  async cancel(signal: AbortSignal): Promise<void> {
    await this.#end(signal);
  }

  /** Somebody else owns the conversation: nothing more is sent, and it is not ended. The owner leaves the rooms. */
  async abandon(): Promise<void> {
    this.#ended ??= Promise.resolve();
    this.#life.abort(new FleetError('lease-lost', 'Another owner holds the conversation.'));
    this.#speech?.close();
    this.#unsubscribe();
    this.#replica.close();
  }

  /** Leaves and ends what is still open; then nothing of the service runs. May be called twice. */
  async cleanup(signal: AbortSignal): Promise<void> {
    await this.#end(signal);
    this.#unsubscribe();
    this.#replica.close();
  }

  #end(signal: AbortSignal): Promise<void> {
    this.#ended ??= this.#leaveAndEnd(signal);
    return this.#ended;
  }

  async #leaveAndEnd(signal: AbortSignal): Promise<void> {
    this.#life.abort(new FleetError('shutting-down', 'The conversation is ending.'));
    this.#speech?.close();
    await withDeadline({ ms: LEAVE_MS, what: 'Leaving the rooms', clock: this.#options.clock }, (own) => this.#options.room.leave(own)).catch((error: unknown) => this.#warn(error));
    // A create that is still under way may succeed and be billed: it is waited for (its own deadline bounds it), then ended.
    const created = await this.#creating?.catch(() => undefined);
    if (created) await this.#options.api.end(created.conversationId, signal);
  }

  async #nameReplica(api: ConversationApi, signal: AbortSignal): Promise<void> {
    try {
      this.#replica.named(await api.personaName(signal));
    } catch (error) {
      // The name is only the second way to know the replica; its user_id is the first.
      if (!signal.aborted) this.#warn(error);
    }
  }

  async #send(message: unknown): Promise<void> {
    try {
      await withDeadline({ signal: this.#life.signal, ms: MESSAGE_MS, what: 'Sending a message', clock: this.#options.clock }, (own) => this.#options.room.send(message, own));
    } catch (error) {
      if (!this.#life.signal.aborted) this.#warn(error);
    }
  }

  #onRoom(event: RoomEvent): void {
    this.#replica.handle(event);
    if (event.type === 'speech') this.#heard('audio', event.speaking, event.at);
    else if (event.type === 'message' && event.room === 'tavus') this.#options.sink.push({ type: 'message', fromId: event.fromId, message: event.data });
    else if (event.type === 'lost' && event.room === 'tavus') this.#over.set({ reason: 'tavus-ended', error: new FleetError(event.code, event.reason) });
    else if (event.type === 'closed' && event.code !== 'asked') this.#over.set({ reason: 'internal', error: new FleetError(event.code, event.reason) });
  }

  #heard(source: 'tavus' | 'audio', speaking: boolean, at: number): void {
    this.#speech?.heard(speaking);
    if (!this.#speaking.hint(source, speaking)) return;
    this.#options.sink.push({ type: speaking ? 'bot-started-speaking' : 'bot-stopped-speaking', source });
    const ttfbMs = speaking ? this.#ttfb.heard(at) : undefined;
    if (ttfbMs !== undefined) this.#options.sink.push({ type: 'metrics', data: { ttfbMs, processor: 'TavusVideoService', model: this.#settings.model ?? '' } });
  }

  #warn(thrown: unknown): void {
    const error = asFleetError(thrown);
    this.#options.sink.push({ type: 'error', code: error.code, fatal: false, message: error.message });
  }
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}
