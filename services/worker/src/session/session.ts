import { asFleetError, FleetError, type EndReason } from '@tavus-fleet/contracts';
import { firstOf, Latch, together, withDeadline, type Timer } from '@tavus-fleet/lifecycle';
import type { Room, RoomEvent } from '@tavus-fleet/rooms';
import { traced } from '@tavus-fleet/telemetry';
import type { TavusVideoService } from '@tavus-fleet/video-service';
import { Checkpoints } from './checkpoints.ts';
import type { Checks } from './checks/checks.ts';
import type { UnheardCheck } from './checks/unheard.ts';
import type { Inherited } from './conversations.ts';
import type { SessionDeps, SessionProgress, SessionSecrets } from './deps.ts';
import type { Ending } from './ending.ts';
import { Endings } from './endings.ts';
import { EventWriter } from './event-writer.ts';
import { Feed } from './feed.ts';
import { finish } from './finish.ts';
import type { Entry } from './frames-in.ts';
import { Giving } from './giving.ts';
import type { Inheritance } from './inheritance.ts';
import { tellSilence } from './left-speaking.ts';
import {
  checkUserRoom,
  joinUserRoom,
  makeChecks,
  makeInheritance,
  makeMedia,
  makeService,
  makeUnheard,
  openPage,
} from './make-parts.ts';
import { SessionOutput } from './output.ts';
import { OwnRecord } from './own-record.ts';
import { byRedisClock, type MediaStreams } from './outputs/media-streams.ts';
import { RedisClock } from './redis-clock.ts';
import { placeOf } from './resume.ts';
import { tracedEnd, tracedStart } from './session-trace.ts';
import { ShutdownWord } from './shutdown-word.ts';
import { afterUserRoom, onlyCleansUp, startLimitMs, takeoverOf, whatFollows } from './succession.ts';

/** From the deadline of a drain to giving up: time to say `stopping`, end the Tavus conversation and write the reason. */
const HURRY_MS = 10_000;
/** A Tavus room that is taken up again has its replica in it: without a picture by then it is no use to anybody. */
const REJOIN_MS = 15_000;

/**
 * One conversation owned: acquire, run, give everything back. Acquires page → Tavus conversation → rooms and releases in
 * the reverse order (finish.ts), whatever happened. There is one Ending and it is set once: later reasons lose. A successor does
 * the same from where its predecessor stood (succession.ts, inheritance.ts, feed.ts).
 */
export class Session {
  /** Tavus' own word that the call is over: sooner than what the room shows, and before anybody has joined the only one. */
  readonly shutdown: ShutdownWord;
  readonly #deps: SessionDeps;
  readonly #endings = new Endings();
  readonly #started = new Latch<'live' | Ending>();
  readonly #start = new AbortController();
  readonly #life = new AbortController();
  readonly #giveUp = new AbortController();
  readonly #redisClock: RedisClock;
  readonly #record: OwnRecord;
  readonly #events: EventWriter;
  readonly #output: SessionOutput;
  readonly #media: MediaStreams;
  readonly #feed: Feed;
  readonly #checkpoints: Checkpoints;
  readonly #inheritance: Inheritance | undefined;
  readonly #unheard: UnheardCheck | undefined;
  readonly #unsubscribe: (() => void)[] = [];
  #hurrying: Timer | undefined;
  #stopReason: EndReason = 'stopped';
  #room: Room | undefined;
  #service: TavusVideoService | undefined;
  #checks: Checks | undefined;
  #inherited: Inherited | undefined;
  #replacements: number;
  #liveAt: number | undefined;
  #giving: Giving | undefined;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    const { clock, records, record, ownership, frames } = deps;
    this.#redisClock = new RedisClock(clock, deps.redisNowMs);
    this.#replacements = record.replacements;
    this.#record = new OwnRecord(records, clock);
    this.#events = new EventWriter(
      (event, signal) => records.append(event, signal),
      () => this.lost(),
      clock,
    );
    this.#media = makeMedia(deps, this.#redisClock.skewMs, { output: () => this.#output, room: () => this.#room });
    this.#output = new SessionOutput(
      (event) => this.#events.write(event),
      deps.meters,
      { played: (ms) => this.#played(ms), speaking: () => this.#unheard?.heard() },
      record,
      this.#media,
    );
    this.#feed = new Feed({
      frames,
      clock,
      from: placeOf(record),
      succeeds: ownership.epoch > 1,
      cut: this.#endings.cut,
      onEntries: (first) => this.#aged(first),
      onEnd: (verb) =>
        void this.#endings.set(
          verb === 'stop' ? { how: 'stop', reason: this.#stopReason } : { how: 'cancel', reason: 'canceled' },
        ),
      onSpeech: (inMs) => this.#unheard?.speech(inMs),
      onDropped: (count, ms, why) => this.#output.dropped(count, ms, why),
      onMalformed: (what) => this.#output.malformed(what),
    });
    this.#checkpoints = new Checkpoints(
      clock,
      () => records.checkpoint(this.#progress()),
      () => this.lost(),
    );
    this.#inheritance = makeInheritance(deps, {
      nowMs: () => this.#redisClock.nowMs,
      secrets: () => this.#record.secrets(this.#giveUp.signal),
    });
    const forMs = (): number => (record.liveAt === undefined ? this.#liveMs : this.#redisClock.ageMs(record.liveAt));
    this.shutdown = new ShutdownWord(record, forMs, (error) => this.#cannotGoOn(error));
    this.#unheard = makeUnheard(deps, {
      heard: () => this.#output.hold(false),
      lost: (error) => this.#cannotGoOn(error),
    });
  }

  get conversationId(): string {
    return this.#deps.record.conversationId;
  }

  get ownership(): SessionDeps['ownership'] {
    return this.#deps.ownership;
  }

  get state(): 'starting' | 'live' | 'stopping' {
    if (this.#endings.now) return 'stopping';
    return this.#liveAt === undefined ? 'starting' : 'live';
  }

  /** Resolves when the conversation is live, or when it is clear that it will not be. */
  get started(): Promise<'live' | Ending> {
    return this.#started.promise;
  }

  /** Asked through the record. A stop keeps its place behind the audio: its mark is in the stream, or is put at the tail. */
  asked(verb: 'stop' | 'cancel'): void {
    if (verb === 'cancel') this.#endings.set({ how: 'cancel', reason: 'canceled' });
    else this.#feed.endAtTail();
  }

  /** Another owner holds the conversation: leave silently, end nothing, write nothing. */
  lost(): void {
    if (!this.#giving?.isUnderWay) this.#endings.set({ how: 'abandon', reason: 'lease-lost' });
  }

  /** For giving it to another worker; undefined unless it is live. */
  get giving(): Giving | undefined {
    if (this.state !== 'live' || !this.#room || !this.#service) return undefined;
    return (this.#giving ??= new Giving({
      ownership: this.ownership,
      room: this.#room,
      service: this.#service,
      feed: this.#feed,
      progress: () => this.#progress(),
      inUserRoom: this.#record.known?.userRoomUrl !== undefined,
      closing: [this.#events, this.#media, this.#checks, this.#unheard, this.#checkpoints],
      end: (how) => void this.#endings.set({ how, reason: 'lease-lost' }),
    }));
  }

  /** Finishes what was accepted, also what Redis has taken and we have not read yet; then ends with this reason. */
  drain(reason: EndReason): void {
    this.#stopReason = reason;
    this.#feed.endAfterTail();
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
    const beginning = this.#begin(this.#start.signal).catch((error: unknown) => this.#endingOf(asFleetError(error)));
    this.#endings.set(await firstOf([this.#endings.first, beginning]));
    const ending = await this.#endings.first;
    this.#started.set(ending);
    await beginning; // it has seen the abort; nothing may be acquired behind our back while we release
    for (const check of [this.#checks, this.#unheard]) check?.close();
    this.#life.abort(new FleetError('shutting-down', 'The conversation is ending.'));
    const how = await tracedEnd(this.#deps, () =>
      finish(this.#endings.now ?? ending, {
        deps: this.#deps,
        room: this.#room,
        service: this.#service,
        inheritance: this.#inheritance,
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
    this.#media.close();
    this.#feed.close();
    this.#hurrying?.[Symbol.dispose]();
    return how;
  }

  #release(): void {
    this.#feed.stop();
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
  }

  async #begin(signal: AbortSignal): Promise<Ending> {
    const { record, succession } = this.#deps;
    const reason = onlyCleansUp(record, succession);
    if (reason) await this.#cleanUp(reason);
    else await tracedStart(this.#deps, () => this.#goLive(signal));
    return await this.#endings.first;
  }

  async #goLive(signal: AbortSignal): Promise<void> {
    const { clock, record } = this.#deps;
    using _startTimer = clock.after(startLimitMs(record, this.#redisClock.nowMs), () => this.#late());
    // Tavus is asked what is left there while the page opens; whoever needs the answer hears of a failure.
    this.#inheritance?.find(signal).catch(() => undefined);
    await this.#record.moveTo('starting', this.#output.metrics, signal);
    const secrets = await this.#record.secrets(signal);
    checkUserRoom(secrets, this.#deps.userRoomHosts);
    signal.throwIfAborted();
    this.#feed.start();
    const caughtUp = this.#feed.caughtUp(signal);
    caughtUp.catch(() => undefined); // whoever waits for it hears of a failure

    const room = await openPage(this.#deps, signal);
    this.#room = room;
    this.#unsubscribe.push(room.on((event) => this.#onRoom(event)));
    const service = this.#makeService(room);
    service.processFrame({ type: 'output-transport-ready' });
    this.#unsubscribe.push(this.#media.hear(room, () => service.replicaId));
    // From here on the page may die or Tavus may end the call at any moment, also long before we are live.
    void service.over.then(({ error }) => this.#cannotGoOn(error));
    const created = await traced('create tavus conversation', {}, () => service.setup(signal));
    if (!this.#inherited && this.#wasLive) this.#replacements += 1;
    this.shutdown.uses(created.conversationId);
    await together(signal, [
      (own) => this.#record.created(created, this.#replacements, own),
      (own) => this.#startService(service, own),
      (own) => this.#joinUserRoom(room, secrets, own),
    ]);
    if (!this.#wasLive) this.#output.metrics.startMs = this.#redisClock.ageMs(record.createdAt);
    await this.#record.moveTo('live', this.#output.metrics, signal);
    if (!this.#endings.now) await this.#becameLive(service, caughtUp, signal);
  }

  /** Nothing is opened: what earlier owners left at Tavus is ended, what waits to be heard is counted. */
  async #cleanUp(reason: EndReason): Promise<void> {
    this.#endings.set({ how: 'cancel', reason });
    this.#feed.start();
    await this.#feed.dropRest(reason === 'canceled' ? 'canceled' : 'after-end');
  }

  /** Live before this session: limits and reasons are those of a running conversation, not of a start. */
  get #wasLive(): boolean {
    return this.#deps.record.liveAt !== undefined;
  }

  #late(): void {
    if (this.#liveAt !== undefined) return;
    this.#endings.set({ how: 'cancel', reason: this.#wasLive ? 'replica-lost' : 'start-timeout' });
  }

  get #liveMs(): number {
    return this.#liveAt === undefined ? 0 : this.#deps.clock.now() - this.#liveAt;
  }

  #aged(first: Entry): void {
    // One of a batch is enough: what came together waited together.
    const ageMs = this.#redisClock.ageMs(Number.parseInt(first.id, 10));
    this.#deps.meters.frameAge(ageMs / 1_000);
    this.#output.aged(ageMs);
  }

  #onRoom(event: RoomEvent): void {
    this.#media.roomEvent(event);
    this.#unheard?.handle(event);
    if (event.type === 'evicted') this.lost();
    else if (event.type === 'lost' && event.room === 'user')
      this.#endings.set(afterUserRoom(event, this.#deps.succession.again));
    else this.#output.roomEvent(byRedisClock(event, this.#redisClock.skewMs));
  }

  /** The table of succession.ts decides what follows. While what was accepted is being played to its end, that end is cut. */
  #cannotGoOn(error: FleetError): void {
    const { now } = this.#endings;
    this.#endings.set(now?.how === 'stop' ? { how: 'cancel', reason: now.reason, error } : this.#endingOf(error));
  }

  #endingOf(error: FleetError): Ending {
    return whatFollows(error, {
      wasLive: this.#wasLive || this.#liveAt !== undefined,
      liveMs: this.#liveMs,
      replacements: this.#replacements,
      again: this.#deps.succession.again,
      inherited: this.#inherited !== undefined,
    });
  }

  /** `caughtUp`: see Feed. */
  async #becameLive(service: TavusVideoService, caughtUp: Promise<boolean>, signal: AbortSignal): Promise<void> {
    const { clock, record, succession, meters } = this.#deps;
    this.#liveAt = clock.now();
    if (!this.#wasLive) {
      meters.started((this.#output.metrics.startMs ?? 0) / 1_000);
      this.#output.started();
    }
    this.#checks?.live(record.liveAt === undefined ? 0 : this.#redisClock.ageMs(record.liveAt));
    if (record.spec.output.direct) {
      this.#checks?.inDirectRoom(service.others, (id) => service.isReplica(id));
      this.#media.present(service.others);
    }
    this.#unheard?.present(service.others);
    if (this.#unheard) this.#output.hold(true);
    this.#started.set('live');
    void this.#inheritance?.settleAll(this.#life.signal);
    if (this.#wasLive) void tellSilence(this.#record, this.#events, service, signal);
    const isOpen = await caughtUp;
    const takeover = takeoverOf(record, succession, isOpen, this.#redisClock.nowMs);
    if (takeover) this.#events.write({ type: 'takeover', data: takeover });
    this.#feed.open(service, isOpen, this.#redisClock.nowMs);
  }

  #makeService(room: Room): TavusVideoService {
    const inheritance = this.#inheritance;
    const service = makeService(this.#deps, room, this.#output, {
      outputs: this.#media.wanted,
      inherited: inheritance && ((signal) => this.#inherit(inheritance, signal)),
    });
    this.#service = service;
    this.#checks = makeChecks(this.#deps, room, service, this.#output, {
      audio: this.#media.wanted.audio,
      framesIn: () => this.#feed.framesIn,
      trip: (ending) => void this.#endings.set(ending),
      replicaLost: (error) => this.#cannotGoOn(error),
    });
    return service;
  }

  async #inherit(inheritance: Inheritance, signal: AbortSignal): Promise<Inherited | undefined> {
    const { again } = this.#deps.succession;
    this.#inherited = await inheritance.take(signal);
    // It was to be gone on with and is gone: one more may be made in its place, or none.
    if (!this.#inherited && again?.tavus === 'rejoin' && this.#replacements > 0) throw again.after;
    return this.#inherited;
  }

  async #startService(service: TavusVideoService, signal: AbortSignal): Promise<void> {
    const deadline = { signal, ms: REJOIN_MS, what: 'Finding the replica again', clock: this.#deps.clock };
    if (!this.#inherited) return service.start(signal);
    await withDeadline({ ...deadline, code: 'replica-absent' }, (own) => service.start(own));
  }

  async #joinUserRoom(room: Room, secrets: SessionSecrets, signal: AbortSignal): Promise<void> {
    const joined = await joinUserRoom(this.#deps, room, secrets, signal);
    if (!joined) return;
    this.#events.write({ type: 'joined', data: { room: 'user', participantId: joined.participantId } });
    this.#checks?.inUserRoom(joined.participants);
    this.#media.present(joined.participants);
  }

  #progress(): SessionProgress {
    return this.#output.progress(this.#feed.framesIn);
  }

  #played(playedMs: number): void {
    this.#checkpoints.changed(playedMs);
    this.#feed.pump();
  }
}
