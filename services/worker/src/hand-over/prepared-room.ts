import type { ConversationRecord, ConversationSecrets } from '@tavus-fleet/contracts';
import { FleetError } from '@tavus-fleet/contracts';
import { Emitter, Latch, orAborted, sleep, withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import type {
  Joined,
  JoinOptions,
  Participant,
  Room,
  RoomEvent,
  RoomName,
  Rooms,
  WatchOptions,
} from '@tavus-fleet/rooms';
import { findReplica } from '@tavus-fleet/video-service';
import { audioMode } from '../session/mode.ts';

const BOT_NAME = 'Pipecat';
/** A track that was published just now is not heard at once: its receivers have to take it up (our choice; measured with the simulator: under 200 ms). */
const SETTLE_MS = 300;
/** The last owner, if it lives, is silent by then (its tail is cut after 1.5 s); else its page has fenced itself. */
const SILENT_MS = 2_000;

export type Preparing = {
  readonly rooms: Pick<Rooms, 'open'>;
  readonly clock: Clock;
  readonly record: ConversationRecord;
  readonly secrets: ConversationSecrets & { readonly conversationUrl?: string };
  readonly ownerEpoch: number;
};

/** How to know that the last owner is silent, and whom to tell that we are seen. */
export type Told = {
  readonly silent: (signal: AbortSignal) => Promise<void>;
  readonly shown: () => Promise<void>;
};

/**
 * A room that was entered before its conversation was ours: in both rooms under the owner's epoch, so that it evicts nobody, hearing
 * and seeing the replica. It publishes nothing but its sound in the user room, of which nothing is let through: whoever is there has
 * taken it up long before it is needed. A session then finds its joins done; what it publishes waits until the last owner's is gone.
 * All else is the room's own.
 */
export class PreparedRoom implements Room {
  readonly #room: Room;
  readonly #clock: Clock;
  readonly #epoch: number;
  readonly #events = new Emitter<RoomEvent>(() => undefined);
  readonly #closed = new Latch<void>();
  readonly #seen = new Latch<void>();
  readonly #present: Record<RoomName, Map<string, Participant>> = { tavus: new Map(), user: new Map() };
  readonly #joined: Partial<Record<RoomName, Joined>> = {};
  /** What is published from the moment in which it became ours, before its session has come so far. */
  readonly #life = new AbortController();
  readonly #speaks: boolean;
  #streaming: Promise<void> | undefined;
  #audible: Promise<void> | undefined;
  /** Whom to tell that we are seen. */
  #shown: () => Promise<void> = async () => undefined;
  #watched: string | undefined;

  private constructor(room: Room, { clock, record, ownerEpoch }: Preparing) {
    this.#room = room;
    this.#clock = clock;
    this.#epoch = ownerEpoch + 1;
    this.#speaks = audioMode(record.spec) === 'stream';
    room.on((event) => this.#receive(event));
  }

  /** Resolves when the replica's picture is seen. On failure nothing is left open. */
  static async prepare(of: Preparing, signal: AbortSignal): Promise<PreparedRoom> {
    const { rooms, record, secrets, ownerEpoch } = of;
    const room = await rooms.open({ conversationId: record.conversationId, epoch: ownerEpoch }, signal);
    const prepared = new PreparedRoom(room, of);
    try {
      await prepared.#enter(record, secrets, signal);
      return prepared;
    } catch (error) {
      await room.close();
      throw error;
    }
  }

  /** The page is gone: nothing of it can be used. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /**
   * The conversation is ours; `silent` resolves when the last owner is not heard in the user room any more. All that is published
   * begins here and not when the session asks for it: what lies between is heard as silence.
   */
  take(told: Told): void {
    this.#shown = told.shown;
    const { signal } = this.#life;
    if (this.#speaks) this.#streaming = this.#publishStream(signal);
    if (this.#joined.user) this.#audible = this.#letThrough(told.silent, signal);
    // Whoever asks for it hears of a failure.
    for (const begun of [this.#streaming, this.#audible]) begun?.catch(() => undefined);
  }

  on(listener: (event: RoomEvent) => void): () => void {
    return this.#events.on(listener);
  }

  async join(_options: JoinOptions, _signal: AbortSignal): Promise<Joined> {
    if (!this.#joined.user) void this.#show(); // direct: the last owner's track is gone, and no more of it is seen
    return this.#asOfNow('tavus');
  }

  async publishStream(signal: AbortSignal): Promise<void> {
    const begun = this.#streaming ?? this.#publishStream(signal);
    this.#streaming = undefined; // asked for again, it is to be another track
    await orAborted(begun, signal);
  }

  /**
   * The sound is let through when the last owner's is gone, then comes the picture. Over a track nobody waits for that: what the replica is
   * told from now on comes back from it later than what it was told before, and by then the way is open. Echoed sound has no track to be
   * taken up first and would be as quick as that.
   */
  async joinUserRoom(_options: JoinOptions, signal: AbortSignal): Promise<Joined> {
    const audible = this.#audible ?? Promise.resolve();
    if (!this.#speaks) await orAborted(audible, signal);
    void audible.then(
      () => this.#enterPicture(),
      () => undefined, // the room is closing
    );
    return this.#asOfNow('user');
  }

  async #publishStream(signal: AbortSignal): Promise<void> {
    await this.#room.publishStream(signal);
    await sleep(this.#clock, SETTLE_MS, signal);
  }

  /** The last owner lets out what the replica still says; then it is our turn to let it through. */
  async #letThrough(silent: Told['silent'], signal: AbortSignal): Promise<void> {
    await this.#ownerSilent(silent, signal);
    this.#room.muteUserRoom(false);
  }

  /** Nobody waits for it. A voice without a picture is no avatar: then the user room counts as lost, and the last owner's picture stays for its time. */
  async #enterPicture(): Promise<void> {
    try {
      await this.#room.showInUserRoom('video', this.#life.signal);
    } catch {
      if (this.#life.signal.aborted) return;
      const reason = 'The picture could not be published.';
      return this.#events.emit({ type: 'lost', room: 'user', code: 'room-lost', reason });
    }
    await this.#show();
  }

  /** Then everybody learns whose session this is: a page of the last owner leaves when it sees this, if its worker has not told it to. */
  async #show(): Promise<void> {
    await this.#shown().catch(() => undefined);
    await this.#room.raiseEpoch(this.#epoch, this.#life.signal).catch(() => undefined);
  }

  watch(participantId: string, options: WatchOptions): void {
    this.#room.watch(participantId, options);
    if (participantId === this.#watched && this.#seen.isSet)
      queueMicrotask(() => this.#events.emit({ type: 'video-arrived' }));
    this.#watched = participantId;
  }

  unpublishStream = (signal: AbortSignal): Promise<void> => this.#room.unpublishStream(signal);
  write = (pcm: Uint8Array): boolean => this.#room.write(pcm);
  flush = (signal: AbortSignal): Promise<{ playedSamples: number }> => this.#room.flush(signal);
  send = (data: unknown, signal: AbortSignal): Promise<void> => this.#room.send(data, signal);
  raiseEpoch = (epoch: number, signal: AbortSignal): Promise<void> => this.#room.raiseEpoch(epoch, signal);
  showInUserRoom = (kind: 'video' | 'audio', signal: AbortSignal): Promise<void> =>
    this.#room.showInUserRoom(kind, signal);
  endUserAudio = (maxMs: number, signal: AbortSignal): Promise<void> => this.#room.endUserAudio(maxMs, signal);
  muteUserRoom = (on: boolean): void => this.#room.muteUserRoom(on);
  requestKeyFrame = (): void => this.#room.requestKeyFrame();
  hearUsers = (where: RoomName, participantIds: readonly string[]): void => this.#room.hearUsers(where, participantIds);
  limitUserVideo = (maxFps: number | undefined): void => this.#room.limitUserVideo(maxFps);
  leave = (signal?: AbortSignal): Promise<void> => this.#room.leave(signal);

  close(): Promise<void> {
    this.#life.abort(new FleetError('shutting-down', 'The room is closed.'));
    return this.#room.close();
  }

  async #enter(record: ConversationRecord, secrets: Preparing['secrets'], signal: AbortSignal): Promise<void> {
    const { conversationUrl: url, userRoomUrl, userRoomToken } = secrets;
    if (url === undefined) throw new FleetError('room-join-failed', 'The Tavus room is not known.');
    this.#joined.tavus = await this.#room.join({ url, userName: BOT_NAME, stream: this.#speaks }, signal);
    for (const participant of this.#joined.tavus.participants) this.#present.tavus.set(participant.id, participant);
    this.#look(record);
    if (userRoomUrl !== undefined) {
      const userName = record.spec.output.room?.name ?? 'Avatar';
      const token = userRoomToken === undefined ? {} : { token: userRoomToken };
      const joined = await this.#room.joinUserRoom({ url: userRoomUrl, userName, ...token, hidden: true }, signal);
      this.#joined.user = joined;
      for (const participant of joined.participants) this.#present.user.set(participant.id, participant);
      this.#room.muteUserRoom(true);
      await this.#room.showInUserRoom('audio', signal);
    }
    // The replica may be gone for a moment, or come later than we did.
    while (this.#watched === undefined) {
      await sleep(this.#clock, 100, signal);
      this.#look(record);
    }
    if (!(record.spec.tavus.audioOnly ?? false)) await orAborted(this.#seen.promise, signal);
  }

  #look(record: ConversationRecord): void {
    const replica = findReplica(this.#present.tavus.values(), undefined);
    if (!replica || this.#watched !== undefined) return;
    this.#watched = replica.id;
    const direct = record.spec.output.direct ?? false;
    const pcm = record.spec.output.streams?.audio ?? false;
    this.#room.watch(replica.id, { video: !(record.spec.tavus.audioOnly ?? false), audio: !direct || pcm });
  }

  #receive(event: RoomEvent): void {
    if (event.type === 'video-arrived') this.#seen.set();
    if (event.type === 'closed') this.#closed.set();
    if (event.type === 'lost' || event.type === 'evicted') this.#closed.set();
    if (event.type === 'participant-joined' || event.type === 'participant-updated')
      this.#present[event.room].set(event.participant.id, event.participant);
    if (event.type === 'participant-left') this.#present[event.room].delete(event.participant.id);
    this.#events.emit(event);
  }

  async #ownerSilent(silent: Told['silent'], signal: AbortSignal): Promise<void> {
    await withDeadline(
      { signal, ms: SILENT_MS, what: 'Waiting for the last owner’s silence', clock: this.#clock },
      silent,
    ).catch(() => signal.throwIfAborted()); // it is dead, or its page will see our epoch
  }

  #asOfNow(room: RoomName): Joined {
    const joined = this.#joined[room];
    if (!joined) throw new FleetError('room-lost', 'That room was not joined.');
    return { ...joined, participants: [...this.#present[room].values()] };
  }
}
