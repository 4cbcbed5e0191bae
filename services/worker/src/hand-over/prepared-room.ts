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

const BOT_NAME = 'Pipecat';
/** A track that was published just now is not heard at once: its receivers have to take it up (our choice; measured with the simulator: under 200 ms). */
const SETTLE_MS = 300;
/** The same in the user room, where nothing sounds before the replica has answered what it is sent: its own delay is part of that time. */
const USER_SETTLE_MS = 150;
/** The last owner's sound is gone by then, or its page has fenced itself. */
const SILENT_MS = 3_000;

export type Preparing = {
  readonly rooms: Pick<Rooms, 'open'>;
  readonly clock: Clock;
  readonly record: ConversationRecord;
  readonly secrets: ConversationSecrets & { readonly conversationUrl?: string };
  readonly ownerEpoch: number;
};

/**
 * A room that was entered before its conversation was ours: in both rooms under the owner's epoch, so that it evicts nobody, hearing
 * and seeing the replica and publishing nothing. A session then finds its joins done; what is published waits until the last
 * owner's is gone. All else is the room's own.
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
  /** Set when it became ours: how to know that the last owner is silent, and whom to tell that we are seen. */
  #taken: { readonly silent: (signal: AbortSignal) => Promise<void>; readonly shown: () => Promise<void> } | undefined;
  #watched: string | undefined;

  private constructor(room: Room, clock: Clock, epoch: number) {
    this.#room = room;
    this.#clock = clock;
    this.#epoch = epoch;
    room.on((event) => this.#receive(event));
  }

  /** Resolves when the replica's picture is seen. On failure nothing is left open. */
  static async prepare(of: Preparing, signal: AbortSignal): Promise<PreparedRoom> {
    const { rooms, clock, record, secrets, ownerEpoch } = of;
    const room = await rooms.open({ conversationId: record.conversationId, epoch: ownerEpoch }, signal);
    const prepared = new PreparedRoom(room, clock, ownerEpoch + 1);
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

  /** The conversation is ours. `silent` resolves when the last owner is not heard in the user room any more. */
  take(told: { silent: (signal: AbortSignal) => Promise<void>; shown: () => Promise<void> }): void {
    this.#taken = told;
  }

  on(listener: (event: RoomEvent) => void): () => void {
    return this.#events.on(listener);
  }

  async join(_options: JoinOptions, signal: AbortSignal): Promise<Joined> {
    if (!this.#joined.user) await this.#show(signal); // direct: the last owner's track is gone, and no more of it is seen
    return this.#asOfNow('tavus');
  }

  async publishStream(signal: AbortSignal): Promise<void> {
    await this.#room.publishStream(signal);
    await sleep(this.#clock, SETTLE_MS, signal);
  }

  /** Picture first, under the old owner's; sound when the old owner's is gone; then everybody learns whose session this is. */
  async joinUserRoom(_options: JoinOptions, signal: AbortSignal): Promise<Joined> {
    await this.#room.showInUserRoom('video', signal);
    await this.#ownerSilent(signal);
    await this.#room.showInUserRoom('audio', signal);
    await Promise.all([sleep(this.#clock, USER_SETTLE_MS, signal), this.#show(signal)]);
    return this.#asOfNow('user');
  }

  /** A page of the last owner leaves when it sees this, if its worker has not told it to. */
  async #show(signal: AbortSignal): Promise<void> {
    await this.#taken?.shown();
    await this.#room.raiseEpoch(this.#epoch, signal);
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
  close = (): Promise<void> => this.#room.close();

  async #enter(record: ConversationRecord, secrets: Preparing['secrets'], signal: AbortSignal): Promise<void> {
    const { conversationUrl: url, userRoomUrl, userRoomToken } = secrets;
    if (url === undefined) throw new FleetError('room-join-failed', 'The Tavus room is not known.');
    this.#joined.tavus = await this.#room.join({ url, userName: BOT_NAME }, signal);
    for (const participant of this.#joined.tavus.participants) this.#present.tavus.set(participant.id, participant);
    this.#look(record);
    if (userRoomUrl !== undefined) {
      const userName = record.spec.output.room?.name ?? 'Avatar';
      const token = userRoomToken === undefined ? {} : { token: userRoomToken };
      const joined = await this.#room.joinUserRoom({ url: userRoomUrl, userName, ...token, hidden: true }, signal);
      this.#joined.user = joined;
      for (const participant of joined.participants) this.#present.user.set(participant.id, participant);
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

  async #ownerSilent(signal: AbortSignal): Promise<void> {
    const taken = this.#taken;
    if (!taken) return;
    await withDeadline(
      { signal, ms: SILENT_MS, what: 'Waiting for the last owner’s silence', clock: this.#clock },
      (own) => taken.silent(own),
    ).catch(() => signal.throwIfAborted()); // it is dead, or its page will see our epoch
  }

  #asOfNow(room: RoomName): Joined {
    const joined = this.#joined[room];
    if (!joined) throw new FleetError('room-lost', 'That room was not joined.');
    return { ...joined, participants: [...this.#present[room].values()] };
  }
}
