import { FleetError, roomUrlProblem, type ConversationSecrets, type EndReason } from '@tavus-fleet/contracts';
import { firstOf, Latch, together, withDeadline } from '@tavus-fleet/lifecycle';
import type { Room } from '@tavus-fleet/rooms';
import { TavusVideoService } from '@tavus-fleet/video-service';
import { Checkpoints } from './checkpoints.ts';
import { Checks } from './checks/checks.ts';
import { LedgeredConversations } from './conversations.ts';
import type { SessionDeps } from './deps.ts';
import { endingOf, type Ending } from './ending.ts';
import { EventWriter } from './event-writer.ts';
import { FramesIn } from './frames-in.ts';
import { audioMode } from './mode.ts';
import { SessionOutput } from './output.ts';
import { finish } from './finish.ts';

const OPEN_MS = 15_000;
const USER_ROOM_MS = 15_000;

/**
 * One conversation owned: acquire, run, give everything back. Acquires page → Tavus conversation → rooms and releases in
 * the reverse order (finish.ts), whatever happened. There is one Ending and it is set once: later reasons lose.
 */
export class Session {
  readonly #deps: SessionDeps;
  readonly #ending = new Latch<Ending>();
  readonly #started = new Latch<'live' | Ending>();
  readonly #start = new AbortController();
  readonly #hurry = new AbortController();
  readonly #events: EventWriter;
  readonly #output: SessionOutput;
  readonly #framesIn: FramesIn;
  readonly #checkpoints: Checkpoints;
  #unsubscribe: (() => void) | undefined;
  #stopReason: EndReason = 'stopped';
  #room: Room | undefined;
  #service: TavusVideoService | undefined;
  #checks: Checks | undefined;
  #live = false;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    const { clock, records } = deps;
    this.#events = new EventWriter((event, signal) => records.append(event, signal), () => this.lost(), clock);
    this.#output = new SessionOutput((event) => this.#events.write(event), deps.meters, () => this.#played());
    this.#framesIn = new FramesIn(
      {
        bufferedMs: () => (this.#live ? (this.#service?.bufferedMs ?? 0) : Number.POSITIVE_INFINITY),
        frame: (frame) => this.#service?.processFrame(frame),
        end: (verb) => void this.#ending.set(verb === 'stop' ? { how: 'stop', reason: this.#stopReason } : { how: 'cancel', reason: 'canceled' }),
        dropped: (count, ms, why) => this.#output.dropped(count, ms, why),
        malformed: (what) => this.#output.malformed(what),
      },
      deps.frames,
    );
    this.#checkpoints = new Checkpoints(clock, () => records.checkpoint(this.#output.progress(this.#framesIn.framesIn)), () => this.lost());
  }

  get conversationId(): string {
    return this.#deps.record.conversationId;
  }

  get ownership(): SessionDeps['ownership'] {
    return this.#deps.ownership;
  }

  get state(): 'starting' | 'live' | 'stopping' {
    if (this.#ending.isSet) return 'stopping';
    return this.#live ? 'live' : 'starting';
  }

  /** Resolves when the conversation is live, or when it is clear that it will not be. */
  get started(): Promise<'live' | Ending> {
    return this.#started.promise;
  }

  /** Asked through the record. A stop keeps its place behind the audio: its mark is in the stream, or is put at the tail. */
  asked(verb: 'stop' | 'cancel'): void {
    if (verb === 'cancel') this.#ending.set({ how: 'cancel', reason: 'canceled' });
    else this.#framesIn.endAtTail(undefined);
  }

  /** Another owner holds the conversation: leave silently, end nothing, write nothing. */
  lost(): void {
    this.#ending.set({ how: 'abandon', reason: 'lease-lost' });
  }

  /** Finishes what was accepted, then ends with this reason. */
  drain(reason: EndReason): void {
    this.#stopReason = reason;
    this.#framesIn.endAtTail(reason);
  }

  /** The deadline of a drain has passed: nothing is waited for any more. */
  hurry(reason: EndReason): void {
    this.#ending.set({ how: 'cancel', reason });
    this.#hurry.abort(new FleetError('shutting-down', 'The worker is stopping.'));
  }

  /** Runs the session to its end; resolves when everything is given back. Never rejects. */
  async run(): Promise<Ending> {
    void this.#ending.promise.then(() => this.#start.abort(new FleetError('shutting-down', 'The conversation is ending.')));
    const beginning = this.#begin(this.#start.signal).catch((error: unknown) => endingOf(error, this.#live ? 'live' : 'start'));
    this.#ending.set(await firstOf([this.#ending.promise, beginning]));
    const ending = await this.#ending.promise;
    this.#started.set(ending);
    await beginning; // it has seen the abort; nothing may be acquired behind our back while we release
    this.#unsubscribe?.();
    this.#checks?.close();
    await finish(ending, {
      deps: this.#deps,
      room: this.#room,
      service: this.#service,
      events: this.#events,
      checkpoints: this.#checkpoints,
      output: this.#output,
      hurry: this.#hurry.signal,
    });
    return ending;
  }

  async #begin(signal: AbortSignal): Promise<Ending> {
    const { clock, records, record, frames, rooms, ownership } = this.#deps;
    const { limits } = record.spec;
    const startBy = record.createdAt + limits.startTimeoutSeconds * 1_000;
    using _startTimer = clock.after(Math.max(0, startBy - clock.now()), () => {
      if (!this.#live) this.#ending.set({ how: 'cancel', reason: 'start-timeout' });
    });
    await this.#move('starting');
    const secrets = await this.#secrets();
    this.#unsubscribe = frames.subscribe(record.position, (entries) => this.#framesIn.entries(entries));

    const identity = { conversationId: this.conversationId, epoch: ownership.epoch };
    const room = await withDeadline({ signal, ms: OPEN_MS, what: 'Opening a page', code: 'browser-failed' }, (own) => rooms.open(identity, own));
    this.#room = room;
    room.on((event) => {
      if (event.type === 'evicted') this.lost();
      else if (event.type === 'lost' && event.room === 'user') this.#ending.set({ how: 'cancel', reason: 'user-room-refused', error: new FleetError('user-room-refused', event.reason) });
      else this.#output.roomEvent(event);
    });
    const service = this.#makeService(room);
    this.#service = service;
    if ((await records.created(await service.setup(signal))) === 'fenced') throw new FleetError('lease-lost', 'Another worker owns the conversation.');
    await together(signal, [(own) => service.start(own), (own) => this.#joinUserRoom(room, secrets, own)]);

    this.#output.metrics.startMs = clock.now() - record.createdAt;
    await this.#move('live');
    this.#becameLive();
    const over = service.over.then(({ reason, error }): Ending => ({ how: 'cancel', reason, error }));
    return await firstOf([over, this.#ending.promise]);
  }

  /** Anything but `moved` or a later state that a predecessor reached already means that we do not own what we think we own. */
  async #move(state: 'starting' | 'live'): Promise<void> {
    const outcome = await this.#deps.records.moveTo(state, this.#output.metrics);
    if (outcome === 'fenced') throw new FleetError('lease-lost', 'Another worker owns the conversation.');
    if (outcome === 'refused' && state === 'live') throw new FleetError('internal', 'The record refused to become live.');
  }

  #becameLive(): void {
    this.#live = true;
    this.#deps.meters.started((this.#output.metrics.startMs ?? 0) / 1_000);
    this.#checks?.live();
    this.#started.set('live');
    this.#framesIn.pump();
  }

  /** The user room's address, checked again here: the API is not the only one who writes records. */
  async #secrets(): Promise<ConversationSecrets> {
    const secrets = await this.#deps.records.secrets();
    const problem = secrets.userRoomUrl === undefined ? undefined : roomUrlProblem(secrets.userRoomUrl, this.#deps.userRoomHosts);
    if (problem) throw new FleetError('user-room-refused', `output.room.url ${problem}.`, { field: 'output.room.url' });
    return secrets;
  }

  #makeService(room: Room): TavusVideoService {
    const { clock, record, tavus, ledger, log } = this.#deps;
    const { spec } = record;
    const limits = spec.limits;
    const activity = (): { frames: number; bufferedMs: number } => ({ frames: this.#framesIn.framesIn, bufferedMs: this.#service?.bufferedMs ?? 0 });
    this.#checks = new Checks({ clock, limits, room, activity, trip: (ending) => void this.#ending.set(ending) });
    const api = new LedgeredConversations(tavus, ledger, clock, {
      waiting: (why) => log.info({ why }, 'waiting for a provider slot'),
      unbooked: () => log.warn({}, 'a ledger write failed; its row stays for the reaper'),
    });
    return new TavusVideoService({ api, room, sink: this.#output, clock, mode: audioMode(spec), settings: record.settings, audioOnly: spec.tavus.audioOnly ?? false });
  }

  async #joinUserRoom(room: Room, secrets: ConversationSecrets, signal: AbortSignal): Promise<void> {
    const { userRoomUrl: url, userRoomToken: token } = secrets;
    if (url === undefined) return;
    const userName = this.#deps.record.spec.output.room?.name ?? 'Avatar';
    const joined = await withDeadline({ signal, ms: USER_ROOM_MS, what: 'Joining the user room', code: 'user-room-refused' }, (own) => room.joinUserRoom({ url, userName, ...(token === undefined ? {} : { token }) }, own));
    this.#events.write({ type: 'joined', data: { room: 'user', participantId: joined.participantId } });
    this.#checks?.inUserRoom(joined.participants);
  }

  #played(): void {
    this.#checkpoints.changed();
    this.#framesIn.pump();
  }
}
