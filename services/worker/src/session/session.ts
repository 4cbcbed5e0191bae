import { FleetError, roomUrlProblem, type ConversationSecrets, type EndReason } from '@tavus-fleet/contracts';
import { firstOf, Latch, retry, together, withDeadline, type Timer } from '@tavus-fleet/lifecycle';
import type { Room, RoomEvent } from '@tavus-fleet/rooms';
import { shutdownMeaning } from '@tavus-fleet/tavus';

import { traced } from '@tavus-fleet/telemetry';
import { TavusVideoService } from '@tavus-fleet/video-service';
import { AvatarStream } from './avatar-stream.ts';
import { Checkpoints } from './checkpoints.ts';
import { Checks } from './checks/checks.ts';
import { LedgeredConversations } from './conversations.ts';
import type { SessionDeps, SessionProgress } from './deps.ts';
import { endingOf, type Ending } from './ending.ts';
import { Endings } from './endings.ts';
import { EventWriter } from './event-writer.ts';
import { FramesIn, type Entry } from './frames-in.ts';
import { audioMode } from './mode.ts';
import { SessionOutput } from './output.ts';
import { tracedEnd, tracedStart } from './session-trace.ts';
import { Tail } from './tail.ts';
import { finish } from './finish.ts';

/** From the deadline of a drain to giving up: time to say `stopping`, end the Tavus conversation and write the reason. */
const HURRY_MS = 10_000;
/** What is asked of Redis while it is silent is asked again until it answers or the session ends. */
const UNTIL_REDIS = {
  attempts: Number.POSITIVE_INFINITY,
  firstMs: 200,
  maxMs: 1_000,
  when: (error: FleetError) => error.code === 'redis-unavailable',
};
const OPEN_MS = 15_000;
const USER_ROOM_MS = 15_000;

/**
 * One conversation owned: acquire, run, give everything back. Acquires page → Tavus conversation → rooms and releases in
 * the reverse order (finish.ts), whatever happened. There is one Ending and it is set once: later reasons lose.
 */
export class Session {
  readonly #deps: SessionDeps;
  readonly #endings = new Endings();
  readonly #started = new Latch<'live' | Ending>();
  readonly #start = new AbortController();
  readonly #giveUp = new AbortController();
  /** Redis' clock minus ours, ms. */
  readonly #skewMs: number;
  readonly #events: EventWriter;
  readonly #output: SessionOutput;
  readonly #avatar: AvatarStream | undefined;
  readonly #framesIn: FramesIn;
  readonly #checkpoints: Checkpoints;
  readonly #unsubscribe: (() => void)[] = [];
  readonly #tail: Tail;
  #hurrying: Timer | undefined;
  #stopReason: EndReason = 'stopped';
  #room: Room | undefined;
  #service: TavusVideoService | undefined;
  #checks: Checks | undefined;
  #liveAt: number | undefined;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    this.#tail = new Tail(deps.clock, deps.record.position);
    const { clock, records } = deps;
    this.#skewMs = deps.redisNowMs - clock.now();
    this.#events = new EventWriter(
      (event, signal) => records.append(event, signal),
      () => this.lost(),
      clock,
    );
    if (deps.record.spec.output.streams?.audio)
      this.#avatar = new AvatarStream(
        deps.appendAudio,
        (count) => this.#output.outputDropped(count, count * 20, 'output-audio'),
        clock,
      );
    this.#output = new SessionOutput(
      (event) => this.#events.write(event),
      deps.meters,
      () => this.#played(),
      this.#avatar,
    );
    this.#framesIn = new FramesIn(
      {
        bufferedMs: () => (this.#live ? (this.#service?.bufferedMs ?? 0) : Number.POSITIVE_INFINITY),
        frame: (frame) => {
          // Only an interruption comes before we are live, and what it drops has been dropped: nothing plays yet.
          if (this.#live) this.#service?.processFrame(frame);
        },
        end: (verb) =>
          void this.#endings.set(
            verb === 'stop' ? { how: 'stop', reason: this.#stopReason } : { how: 'cancel', reason: 'canceled' },
          ),
        dropped: (count, ms, why) => this.#output.dropped(count, ms, why),
        malformed: (what) => this.#output.malformed(what),
      },
      {
        read: (ids) =>
          retry({ ...UNTIL_REDIS, when: () => true }, { signal: this.#endings.cut, clock }, () =>
            deps.frames.read(ids),
          ),
      },
    );
    this.#checkpoints = new Checkpoints(
      clock,
      () => records.checkpoint(this.#progress()),
      () => this.lost(),
    );
  }

  get conversationId(): string {
    return this.#deps.record.conversationId;
  }

  get #live(): boolean {
    return this.#liveAt !== undefined;
  }

  get ownership(): SessionDeps['ownership'] {
    return this.#deps.ownership;
  }

  get state(): 'starting' | 'live' | 'stopping' {
    if (this.#endings.now) return 'stopping';
    return this.#live ? 'live' : 'starting';
  }

  /** Resolves when the conversation is live, or when it is clear that it will not be. */
  get started(): Promise<'live' | Ending> {
    return this.#started.promise;
  }

  /** Asked through the record. A stop keeps its place behind the audio: its mark is in the stream, or is put at the tail. */
  asked(verb: 'stop' | 'cancel'): void {
    if (verb === 'cancel') this.#endings.set({ how: 'cancel', reason: 'canceled' });
    else this.#framesIn.endAtTail(undefined);
  }

  /** Another owner holds the conversation: leave silently, end nothing, write nothing. */
  lost(): void {
    this.#endings.set({ how: 'abandon', reason: 'lease-lost' });
  }

  /** Tavus' own word that the call is over: sooner than what the room shows, and before anybody has joined the only one. */
  tavusShutdown(reason: string): void {
    const { clock, record } = this.#deps;
    const early = clock.now() - (this.#liveAt ?? clock.now()) < record.spec.limits.maxDurationSeconds * 1_000;
    const { code, says } = shutdownMeaning(reason, early);
    const error = new FleetError(code, says);
    const ended = code === 'room-ejected' || (this.#live && code !== 'tavus-credits');
    this.#endings.set(ended ? { how: 'cancel', reason: 'tavus-ended', error } : endingOf(error, 'start'));
  }

  /** Finishes what was accepted, also what Redis has taken and we have not read yet; then ends with this reason. */
  drain(reason: EndReason): void {
    this.#stopReason = reason;
    this.#tail.reached(
      () => this.#deps.frames.newest(),
      () => this.#framesIn.endAtTail(reason),
    );
  }

  /** The deadline of a drain has passed: ends now with this reason, or the one it is ending with, within HURRY_MS. */
  hurry(reason: EndReason): void {
    const { now } = this.#endings;
    this.#endings.set({ how: 'cancel', reason: now?.how === 'stop' ? now.reason : reason });
    this.#hurrying ??= this.#deps.clock.after(HURRY_MS, () =>
      this.#giveUp.abort(new FleetError('shutting-down', 'The worker is stopping.')),
    );
  }

  /** Runs the session to its end; resolves when everything is given back. Never rejects. */
  async run(): Promise<Ending> {
    void this.#endings.first.then(() =>
      this.#start.abort(new FleetError('shutting-down', 'The conversation is ending.')),
    );
    const beginning = this.#begin(this.#start.signal).catch((error: unknown) =>
      endingOf(error, this.#live ? 'live' : 'start'),
    );
    this.#endings.set(await firstOf([this.#endings.first, beginning]));
    const ending = await this.#endings.first;
    this.#started.set(ending);
    await beginning; // it has seen the abort; nothing may be acquired behind our back while we release
    this.#checks?.close();
    const how = await tracedEnd(this.#deps, () =>
      finish(this.#endings.now ?? ending, {
        deps: this.#deps,
        room: this.#room,
        service: this.#service,
        events: this.#events,
        checkpoints: this.#checkpoints,
        output: this.#output,
        progress: () => this.#progress(),
        liveAt: this.#liveAt,
        endings: this.#endings,
        deaf: () => this.#release(),
        giveUp: this.#giveUp.signal,
      }),
    );
    this.#release();
    this.#avatar?.close();
    this.#tail.close();
    this.#hurrying?.[Symbol.dispose]();
    return how;
  }

  #release(): void {
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
  }

  async #begin(signal: AbortSignal): Promise<Ending> {
    await tracedStart(this.#deps, () => this.#goLive(signal));
    return await this.#endings.first;
  }

  async #goLive(signal: AbortSignal): Promise<void> {
    const { clock, records, record, frames, rooms, ownership } = this.#deps;
    const { limits } = record.spec;
    using _startTimer = clock.after(
      Math.max(0, limits.startTimeoutSeconds * 1_000 - this.#ageMs(record.createdAt)),
      () => {
        if (!this.#live) this.#endings.set({ how: 'cancel', reason: 'start-timeout' });
      },
    );
    await this.#move('starting', signal);
    const secrets = await this.#secrets(signal);
    signal.throwIfAborted();
    this.#unsubscribe.push(frames.subscribe(record.position, (entries) => this.#entries(entries)));

    const identity = { conversationId: this.conversationId, epoch: ownership.epoch };
    const room = await traced('open page', {}, () =>
      withDeadline({ signal, ms: OPEN_MS, what: 'Opening a page', code: 'browser-failed', clock }, (own) =>
        rooms.open(identity, own),
      ),
    );
    this.#room = room;
    this.#unsubscribe.push(room.on((event) => this.#onRoom(event)));
    const service = this.#makeService(room);
    this.#service = service;
    if (this.#avatar) service.processFrame({ type: 'output-transport-ready' });
    // From here on the page may die or Tavus may end the call at any moment, also long before we are live.
    void service.over.then(({ reason, error }) =>
      this.#endings.set(this.#live ? { how: 'cancel', reason, error } : endingOf(error, 'start')),
    );
    const created = await traced('create tavus conversation', {}, () => service.setup(signal));
    if ((await this.#untilRedis(signal, () => records.created(created))) === 'fenced')
      throw new FleetError('lease-lost', 'Another worker owns the conversation.');
    await together(signal, [(own) => service.start(own), (own) => this.#joinUserRoom(room, secrets, own)]);

    this.#output.metrics.startMs = this.#ageMs(record.createdAt);
    await this.#move('live', signal);
    if (!this.#endings.now) this.#becameLive();
  }

  /** Ms since a time of Redis' clock. */
  #ageMs(redisMs: number): number {
    return Math.max(0, this.#deps.clock.now() + this.#skewMs - redisMs);
  }

  #entries(entries: readonly Entry[]): void {
    // One of a batch is enough: what came together waited together.
    if (this.#live && entries[0]) {
      const ageMs = this.#ageMs(Number.parseInt(entries[0].id, 10));
      this.#deps.meters.frameAge(ageMs / 1_000);
      this.#output.aged(ageMs);
    }
    this.#framesIn.entries(entries);
    const last = entries.at(-1);
    if (last) this.#tail.saw(last.id);
  }

  #onRoom(event: RoomEvent): void {
    if (event.type === 'evicted') this.lost();
    else if (event.type === 'lost' && event.room === 'user')
      this.#endings.set({
        how: 'cancel',
        reason: 'user-room-refused',
        error: new FleetError('user-room-refused', event.reason),
      });
    else this.#output.roomEvent(event);
  }

  #untilRedis<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return retry(UNTIL_REDIS, { signal, clock: this.#deps.clock }, work);
  }

  /** Anything but `moved` or a later state that a predecessor reached already means that we do not own what we think we own. */
  async #move(state: 'starting' | 'live', signal: AbortSignal): Promise<void> {
    const outcome = await this.#untilRedis(signal, () => this.#deps.records.moveTo(state, this.#output.metrics));
    if (outcome === 'fenced') throw new FleetError('lease-lost', 'Another worker owns the conversation.');
    if (outcome === 'refused' && state === 'live')
      throw new FleetError('internal', 'The record refused to become live.');
  }

  #becameLive(): void {
    this.#liveAt = this.#deps.clock.now();
    this.#deps.meters.started((this.#output.metrics.startMs ?? 0) / 1_000);
    this.#output.started();
    this.#checks?.live();
    const service = this.#service;
    if (service && this.#deps.record.spec.output.direct)
      this.#checks?.inDirectRoom(service.others, (id) => service.isReplica(id));
    this.#started.set('live');
    this.#framesIn.pump();
  }

  /** The user room's address, checked again here: the API is not the only one who writes records. */
  async #secrets(signal: AbortSignal): Promise<ConversationSecrets> {
    const secrets = await this.#untilRedis(signal, () => this.#deps.records.secrets());
    const problem =
      secrets.userRoomUrl === undefined ? undefined : roomUrlProblem(secrets.userRoomUrl, this.#deps.userRoomHosts);
    if (problem) throw new FleetError('user-room-refused', `output.room.url ${problem}.`, { field: 'output.room.url' });
    return secrets;
  }

  #makeService(room: Room): TavusVideoService {
    const { clock, record, tavus, ledger, log } = this.#deps;
    const { spec } = record;
    const limits = spec.limits;
    const activity = (): { frames: number; bufferedMs: number; playedMs: number } => ({
      frames: this.#framesIn.framesIn,
      bufferedMs: this.#service?.bufferedMs ?? 0,
      playedMs: this.#output.counters.playedMs,
    });
    this.#checks = new Checks({
      clock,
      limits,
      room,
      activity,
      listening: !(spec.output.direct ?? false) || this.#avatar !== undefined,
      tell: (code, message) => this.#output.error(code, message, false),
      trip: (ending) => void this.#endings.set(ending),
      audioOnly: spec.tavus.audioOnly ?? false,
    });
    const api = new LedgeredConversations(tavus, ledger, clock, {
      waiting: (why) => {
        log.info({ why }, 'waiting for a provider slot');
        const full =
          why === 'fleet-full' ? 'Every provider slot of the fleet is taken' : 'Tavus says that the plan is full';
        this.#output.error('tavus-capacity', `${full}; the start waits.`, false);
      },
      failed: ({ code, message }) => this.#output.error(code, message, false),
      unbooked: () => log.warn({}, 'a ledger write failed; its row stays for the reaper'),
    });
    return new TavusVideoService({
      api,
      room,
      sink: this.#output,
      clock,
      mode: audioMode(spec),
      settings: record.settings,
      audioOnly: spec.tavus.audioOnly ?? false,
      direct: spec.output.direct ?? false,
      outputs: { audio: this.#avatar !== undefined },
      step: (name, work) => traced(name, {}, work),
    });
  }

  async #joinUserRoom(room: Room, secrets: ConversationSecrets, signal: AbortSignal): Promise<void> {
    const { userRoomUrl: url, userRoomToken: token } = secrets;
    if (url === undefined) return;
    const userName = this.#deps.record.spec.output.room?.name ?? 'Avatar';
    const joined = await traced('join user room', {}, () =>
      withDeadline(
        { signal, ms: USER_ROOM_MS, what: 'Joining the user room', code: 'user-room-refused', clock: this.#deps.clock },
        (own) => room.joinUserRoom({ url, userName, ...(token === undefined ? {} : { token }) }, own),
      ),
    );
    this.#events.write({ type: 'joined', data: { room: 'user', participantId: joined.participantId } });
    this.#checks?.inUserRoom(joined.participants);
  }

  #progress(): SessionProgress {
    return this.#output.progress(this.#framesIn.framesIn);
  }

  #played(): void {
    this.#checkpoints.changed();
    this.#framesIn.pump();
  }
}
