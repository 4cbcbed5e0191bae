import { asFleetError, FleetError, type EndReason } from '@tavus-fleet/contracts';
import { Latch, orAborted, retry, withDeadline } from '@tavus-fleet/lifecycle';
import type { Participant, RoomEvent } from '@tavus-fleet/rooms';
import { AvatarMedia } from './avatar-media.ts';
import type { ConversationApi } from './conversation-api.ts';
import type { Direction, FrameIn, ProcessorFrame } from './frames.ts';
import { makeSpeech } from './make-speech.ts';
import { partsOf, type ServiceParts, type TavusVideoServiceOptions } from './options.ts';
import { ReplicaWatch } from './replica-watch.ts';
import { TavusVideoSettings } from './settings.ts';
import type { Speech } from './speech.ts';
import { untilQuiet } from './stop.ts';
import { Voice } from './voice.ts';

/** The bot's name in the Tavus room is exactly this: replicas in stream mode look for its track by that name (observed). */
const BOT_NAME = 'Pipecat';
const JOIN_MS = 10_000;
const MESSAGE_MS = 3_000;
const LEAVE_MS = 3_000;
/** Beyond what waits to be played: the replica's own delay, and its last words. */
const DRAIN_SPARE_MS = 8_000;

/**
 * One Tavus conversation: setup → start → frames → stop or cancel → cleanup. The calls are idempotent and may come in any
 * order; whatever was created is left and ended exactly once. It owns the conversation, not the room (its maker closes that).
 */
export class TavusVideoService {
  readonly #parts: ServiceParts;
  readonly #avatarMedia: AvatarMedia;
  readonly #settings: TavusVideoSettings;
  readonly #replica: ReplicaWatch;
  readonly #voice: Voice;
  readonly #over = new Latch<{ reason: EndReason; error: FleetError }>();
  readonly #life = new AbortController();
  readonly #unsubscribe: () => void;
  #speech: Speech | undefined;
  #creating: ReturnType<ConversationApi['create']> | undefined;
  #starting: Promise<void> | undefined;
  #ended: Promise<void> | undefined;
  #abandoned = false;

  constructor(options: TavusVideoServiceOptions) {
    this.#parts = partsOf(options);
    const { room, sink, clock, wanted } = this.#parts;
    this.#settings = new TavusVideoSettings(options.settings);
    this.#avatarMedia = new AvatarMedia(sink);
    this.#replica = new ReplicaWatch(room, sink, clock, wanted);
    this.#voice = new Voice({
      sink,
      clock,
      ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
      model: () => this.#settings.model ?? '',
      onHint: (source, speaking) => this.#speech?.heard(source, speaking),
    });
    this.#unsubscribe = room.on((event) => this.#onRoom(event));
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

  /** Whether that participant is the replica. */
  isReplica(participantId: string): boolean {
    return this.#replica.replica?.id === participantId;
  }

  /** The replica's participant id; undefined while it is not there. */
  get replicaId(): string | undefined {
    return this.#replica.replica?.id;
  }

  /** Who is in the Tavus room beside the replica and us: in direct mode its users. */
  get others(): Participant[] {
    return this.#replica.others;
  }

  canGenerateMetrics(): boolean {
    return true;
  }

  /** Name of the persona, which is also the replica's in the call. Rejects with `tavus-*`. */
  getPersonaName(signal: AbortSignal): Promise<string> {
    return this.#parts.api.personaName(signal);
  }

  /** Creates the Tavus conversation; asking again is asking once. On failure nothing is left behind. */
  async setup(signal: AbortSignal): Promise<{ conversationId: string; conversationUrl: string }> {
    this.#life.signal.throwIfAborted();
    this.#creating ??= this.#parts.api.create(signal);
    return await this.#creating;
  }

  /** Joins, publishes, finds the replica; resolves when its first picture arrived. The caller bounds how long. Asking again is asking once. */
  start(signal: AbortSignal): Promise<void> {
    this.#starting ??= this.#start(AbortSignal.any([signal, this.#life.signal]));
    return this.#starting;
  }

  async #start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { room, sink, clock, mode, step } = this.#parts;
    if (!this.#creating) throw new FleetError('internal', 'start() needs a setup().');
    if (this.#settings.maxVideoFps !== undefined) room.limitUserVideo(this.#settings.maxVideoFps);
    const { conversationId, conversationUrl: url, meetingToken } = await this.#creating;
    void this.#nameReplica(signal);
    const token = meetingToken === undefined ? {} : { token: meetingToken };
    const joined = await step('join tavus room', () =>
      retry({ attempts: 3, firstMs: 200, maxMs: 1_000 }, { signal, clock }, () =>
        withDeadline({ signal, ms: JOIN_MS, what: 'Joining the Tavus room', code: 'room-join-failed', clock }, (own) =>
          room.join({ url, ...token, userName: BOT_NAME, stream: mode === 'stream' }, own),
        ),
      ),
    );
    sink.push({ type: 'joined', participantId: joined.participantId });
    if (mode === 'stream') await room.publishStream(signal);
    signal.throwIfAborted(); // what is made from here on is closed by #leaveAndEnd, which may have passed meanwhile
    this.#speech = makeSpeech(this.#parts, {
      conversationId,
      maxMessageLength: joined.maxMessageLength,
      settings: this.#settings,
    });
    this.#replica.present(joined.participants);
    await step('first picture', () => orAborted(this.#replica.arrived, signal));
  }

  /**
   * Takes one frame, whatever its direction (as the reference does). Interruptions and settings act at once, speech keeps its
   * order; what is not the service's business is passed on in its direction at once. After stop or cancel speech is dropped and counted.
   */
  processFrame(frame: FrameIn | ProcessorFrame, direction: Direction = 'downstream'): void {
    switch (frame.type) {
      case 'other':
        return this.#parts.sink.push(frame, direction);
      case 'output-transport-ready':
        this.#avatarMedia.transportReady();
        return this.#parts.sink.push(frame, direction);
      case 'bot-started-speaking':
      case 'bot-stopped-speaking':
        return this.#voice.transportSays(frame.type === 'bot-started-speaking');
      default:
        return this.#process(frame);
    }
  }

  /** The avatar is heard, as far as we were told. */
  get speaking(): boolean {
    return this.#voice.speaking;
  }

  /** Between two utterances, and the avatar says nothing: a moment at which nobody hears that somebody else goes on. */
  get atRest(): boolean {
    return (this.#speech?.atRest ?? true) && !this.#voice.speaking;
  }

  /**
   * Plays no further, to the sample: where it stands was told to the sink when this resolves. In stream mode the track is taken away,
   * so that another session may publish its own. `resume` goes on as if nothing had been.
   */
  async pause(signal: AbortSignal): Promise<void> {
    await this.#speech?.pause(signal);
  }

  async resume(signal: AbortSignal): Promise<void> {
    await this.#speech?.resume(signal);
  }

  /** The frames that come next go on with an utterance that an earlier owner of the conversation began; see `Speech`. */
  continueUtterance(inferenceId?: string): void {
    this.#speech?.continueUtterance(inferenceId);
  }

  #process(frame: FrameIn): void {
    const speech = this.#speech;
    if (!speech || this.#life.signal.aborted) {
      const why = this.#life.signal.aborted ? 'after-end' : 'refused'; // nothing plays yet: whoever feeds us waits for start()
      return this.#parts.sink.push({ type: 'frames-dropped', count: 1, ms: durationMs(frame), why });
    }
    switch (frame.type) {
      case 'tts-started':
        this.#voice.utterance();
        return speech.process(frame);
      case 'tts-audio':
      case 'tts-stopped':
        return speech.process(frame);
      case 'interruption':
        this.#voice.interrupted();
        return void speech.interrupt(this.#life.signal, frame.context);
      case 'settings-update': {
        if (this.#settings.exceeds(frame.settings)) {
          this.#warn(new FleetError('malformed-frame', 'Settings were not changed: `extra` holds too many keys.'));
          return speech.mark(frame.position);
        }
        const changed = this.#settings.applyUpdate(frame.settings);
        if ('extra.maxVideoFps' in changed) this.#parts.room.limitUserVideo(this.#settings.maxVideoFps);
        this.#parts.sink.push({ type: 'settings-updated', changed, settings: frame.settings });
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

  /** Everything accepted is heard: bounded by what is waiting, and by the signal. Never rejects. */
  async drain(signal: AbortSignal): Promise<void> {
    const speech = this.#speech;
    if (!speech || this.#ended || this.#over.isSet) return;
    const clock = this.#parts.clock;
    const over = AbortSignal.any([signal, this.#life.signal]);
    const heard = { lastSoundAt: () => speech.lastSoundAt, speaking: () => this.#voice.speaking };
    try {
      await withDeadline(
        { signal: over, ms: speech.bufferedMs + DRAIN_SPARE_MS, what: 'Draining', clock },
        async (own) => {
          await speech.drained(own);
          await untilQuiet(heard, clock, own);
        },
      );
    } catch (error) {
      if (!over.aborted) this.#warn(error);
    }
  }

  /** Drains, then leaves, then ends. */
  async stop(signal: AbortSignal): Promise<void> {
    await this.drain(signal);
    await this.#end(signal);
  }

  /** At once: what waits is dropped, leave, end. */
  async cancel(signal: AbortSignal): Promise<void> {
    await this.#end(signal);
  }

  /** Somebody else owns the conversation: nothing more is sent, and it is not ended. The owner leaves the rooms. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    this.#ended ??= Promise.resolve();
    this.#life.abort(new FleetError('lease-lost', 'Another owner holds the conversation.'));
    this.#release();
  }

  /** Leaves and ends what is still open; then nothing of the service runs. May be called twice. Rejects only when it had to end and could not. */
  async cleanup(signal: AbortSignal): Promise<void> {
    try {
      // Whoever asked for the end before was told how it went.
      await (this.#ended?.catch(() => undefined) ?? this.#end(signal));
    } finally {
      this.#release();
    }
  }

  #release(): void {
    this.#speech?.close();
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
    await withDeadline({ ms: LEAVE_MS, what: 'Leaving the rooms', clock: this.#parts.clock }, (own) =>
      this.#parts.room.leave(own),
    ).catch((error: unknown) => this.#warn(error));
    // A create that is still under way may succeed and be billed: it is waited for (its own deadline bounds it), then ended.
    const created = await this.#creating?.catch(() => undefined);
    // Abandoned while it was leaving: what another owner holds is not ours to end.
    if (created && !this.#abandoned) await this.#parts.api.end(created.conversationId, signal);
  }

  async #nameReplica(signal: AbortSignal): Promise<void> {
    try {
      this.#replica.named(await this.#parts.api.personaName(signal));
    } catch (error) {
      // The name is only the second way to know the replica; its user_id is the first.
      if (!signal.aborted) this.#warn(error);
    }
  }

  async #send(message: unknown): Promise<void> {
    try {
      await withDeadline(
        { signal: this.#life.signal, ms: MESSAGE_MS, what: 'Sending a message', clock: this.#parts.clock },
        (own) => this.#parts.room.send(message, own),
      );
    } catch (error) {
      if (!this.#life.signal.aborted) this.#warn(error);
    }
  }

  #onRoom(event: RoomEvent): void {
    const replica = this.#replica.replica;
    this.#replica.handle(event);
    if (event.type === 'audio') this.#avatarMedia.heard(event.pcm, event.pts);
    else if (event.type === 'picture') this.#avatarMedia.seen(event.picture);
    else if (event.type === 'speech') this.#voice.heard('audio', event.speaking, event.at);
    else if (event.type === 'message' && event.room === 'tavus') {
      this.#voice.message(event.data); // Tavus' word on who speaks is also ours; every message goes to the backend
      this.#parts.sink.push({ type: 'message', fromId: event.fromId, message: event.data });
    } else if (event.type === 'participant-left' && event.room === 'tavus' && event.participant.id === replica?.id) {
      this.#speech?.replicaGone();
      this.#voice.gone();
    } else if (event.type === 'lost' && event.room === 'tavus')
      this.#over.set({ reason: 'tavus-ended', error: new FleetError(event.code, event.reason) });
    else if (event.type === 'closed' && event.code !== 'asked')
      this.#over.set({ reason: 'internal', error: new FleetError(event.code, event.reason) });
  }

  #warn(thrown: unknown): void {
    const error = asFleetError(thrown);
    this.#parts.sink.push({ type: 'error', code: error.code, fatal: false, message: error.message });
  }
}

function durationMs(frame: FrameIn): number {
  return frame.type === 'tts-audio' ? (frame.audio.byteLength * 1000) / (2 * frame.channels * frame.rate) : 0;
}
