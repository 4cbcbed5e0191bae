import { FleetError } from '@tavus-fleet/contracts';
import { Emitter, systemClock, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import { defaultMaxMessageLength, playedReportMs, sampleRate } from './limits.ts';
import type {
  Joined,
  JoinOptions,
  Participant,
  Room,
  RoomEvent,
  RoomName,
  Rooms,
  UserRoomOptions,
  WatchOptions,
} from './port.ts';
import { StreamAccount } from './stream-account.ts';

/** One call made on a FakeRoom, in order; `write` carries its bytes. */
export type FakeRoomCall =
  | { readonly method: 'join' | 'joinUserRoom'; readonly options: UserRoomOptions }
  | { readonly method: 'publishStream' | 'unpublishStream' | 'flush' | 'leave' | 'close' | 'requestKeyFrame' }
  | { readonly method: 'showInUserRoom'; readonly kind: 'video' | 'audio' }
  | { readonly method: 'endUserAudio'; readonly maxMs: number }
  | { readonly method: 'write'; readonly pcm: Uint8Array }
  | { readonly method: 'send'; readonly data: unknown }
  | { readonly method: 'watch'; readonly participantId: string; readonly options: WatchOptions }
  | { readonly method: 'hearUsers'; readonly room: RoomName; readonly participantIds: readonly string[] }
  | { readonly method: 'muteUserRoom'; readonly on: boolean }
  | { readonly method: 'limitUserVideo'; readonly maxFps: number | undefined }
  | { readonly method: 'raiseEpoch'; readonly epoch: number };

/**
 * A `Room` without a browser, for tests of its users. It keeps every call, plays what is written in real time by its clock
 * (10 s at most, like the page), and lets the test emit what a room would. The contract suite holds it to the real adapter's ways.
 */
export class FakeRoom implements Room {
  readonly identity: { readonly conversationId: string; readonly epoch: number };
  /** Every call, oldest first. */
  readonly calls: FakeRoomCall[] = [];
  /** Who is in the Tavus room when it is joined, beside us. */
  participants: Participant[] = [];
  /** Longest app message, UTF-16 units of its JSON. */
  maxMessageLength = defaultMaxMessageLength;
  /** The next call of that method rejects with this, once. */
  readonly failures = new Map<FakeRoomCall['method'], FleetError>();
  readonly #clock: Clock;
  readonly #events: Emitter<RoomEvent>;
  readonly #errors: unknown[] = [];
  readonly #stream = new StreamAccount();
  #state: { tavus: boolean; user: boolean; left: boolean; closed: boolean } = {
    tavus: false,
    user: false,
    left: false,
    closed: false,
  };
  #published = false;
  #watched: { readonly participantId: string; readonly options: WatchOptions } | undefined;
  #keyNeeded = true;
  #heard: { readonly room: RoomName; readonly participantIds: readonly string[] } | undefined;
  #player: Timer | undefined;
  #playingSince = 0;
  #consumedBefore = 0;
  #epoch: number;

  constructor(identity: { conversationId: string; epoch: number }, clock: Clock = systemClock) {
    this.identity = identity;
    this.#epoch = identity.epoch;
    this.#clock = clock;
    this.#events = new Emitter((error) => this.#errors.push(error));
  }

  /** What listeners threw: a test expects none. */
  get listenerErrors(): readonly unknown[] {
    return this.#errors;
  }

  get isClosed(): boolean {
    return this.#state.closed;
  }

  /** The names of the calls made, in order. */
  get order(): readonly string[] {
    return this.calls.map((call) => call.method);
  }

  /** Everything written, joined. */
  get written(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.calls.flatMap((call) => (call.method === 'write' ? [call.pcm] : []))));
  }

  /** What `send` was given, oldest first. */
  get sent(): readonly unknown[] {
    return this.calls.flatMap((call) => (call.method === 'send' ? [call.data] : []));
  }

  /** Something happens in the room. After `closed` nothing does. */
  emit(event: RoomEvent): void {
    if (this.#state.closed) return;
    if (event.type === 'closed') this.#state.closed = true;
    if (event.type === 'closed' || (event.type === 'lost' && event.room === 'tavus')) this.#stopPlaying();
    this.#events.emit(event);
  }

  on(listener: (event: RoomEvent) => void): () => void {
    return this.#events.on(listener);
  }

  async join(options: JoinOptions, signal: AbortSignal): Promise<Joined> {
    this.#record({ method: 'join', options }, signal);
    if (this.#state.tavus) throw new FleetError('room-join-failed', 'The Tavus room was joined before.');
    this.#state.tavus = true;
    return this.#joined('tavus', options, this.participants);
  }

  async joinUserRoom(options: UserRoomOptions, signal: AbortSignal): Promise<Joined> {
    this.#record({ method: 'joinUserRoom', options }, signal);
    if (this.#state.user) throw new FleetError('user-room-refused', 'The user room was joined before.');
    this.#state.user = true;
    return this.#joined('user', options, []);
  }

  async publishStream(signal: AbortSignal): Promise<void> {
    this.#record({ method: 'publishStream' }, signal);
    this.#needTavus();
    this.#stopPlaying();
    this.#stream.reset();
    this.#consumedBefore = 0;
    this.#published = true;
  }

  async unpublishStream(signal: AbortSignal): Promise<void> {
    this.#record({ method: 'unpublishStream' }, signal);
    this.#needTavus();
    this.#stopPlaying();
    this.#published = false;
  }

  async showInUserRoom(kind: 'video' | 'audio', signal: AbortSignal): Promise<void> {
    this.#record({ method: 'showInUserRoom', kind }, signal);
    this.#needUserRoom();
  }

  async endUserAudio(maxMs: number, signal: AbortSignal): Promise<void> {
    this.#record({ method: 'endUserAudio', maxMs }, signal);
    this.#needUserRoom();
  }

  write(pcm: Uint8Array): boolean {
    if (!this.#published || this.#state.closed || this.#state.left) return false;
    if (pcm.byteLength % 2 !== 0) throw new FleetError('internal', 'PCM must hold whole 16-bit samples.');
    this.#settle();
    if (!this.#stream.take(pcm.byteLength / 2)) return false;
    this.calls.push({ method: 'write', pcm: pcm.slice() });
    this.#play();
    return true;
  }

  async flush(signal: AbortSignal): Promise<{ playedSamples: number }> {
    this.#record({ method: 'flush' }, signal);
    this.#settle();
    this.#stopPlaying();
    this.#stream.flushed(this.#stream.consumed, this.#stream.written);
    return { playedSamples: this.#stream.consumed };
  }

  async send(data: unknown, signal: AbortSignal): Promise<void> {
    this.#record({ method: 'send', data }, signal);
    this.#needTavus();
    if (JSON.stringify(data).length > this.maxMessageLength) {
      throw new FleetError('message-refused', `Message data too large. Max size is ${this.maxMessageLength}`);
    }
  }

  watch(participantId: string, options: WatchOptions): void {
    if (this.#state.left || this.#state.closed) return;
    this.calls.push({ method: 'watch', participantId, options });
    this.#keyNeeded = true;
    this.#watched = { participantId, options };
  }

  requestKeyFrame(): void {
    if (this.#state.left || this.#state.closed) return;
    this.calls.push({ method: 'requestKeyFrame' });
    if (this.#watched?.options.picture) this.#keyNeeded = true;
  }

  hearUsers(room: RoomName, participantIds: readonly string[]): void {
    if (this.#state.left || this.#state.closed) return;
    this.calls.push({ method: 'hearUsers', room, participantIds });
    this.#heard = { room, participantIds };
  }

  /** The watched participant's next picture comes: what is handed out of it, if pictures were asked for. */
  showPicture(pts: number): void {
    const { picture } = this.#watched?.options ?? {};
    if (!picture) return;
    const format = picture.format === 'jpeg' ? 'jpeg' : 'vp8';
    const key = format === 'jpeg' || this.#keyNeeded;
    this.#keyNeeded = false;
    this.emit({ type: 'picture', picture: { format, key, width: 320, height: 180, pts, data: Uint8Array.of(1) } });
  }

  /** A participant of that room speaks for 20 ms: handed out if we were to hear it. */
  userSpeaks(room: RoomName, participantId: string, pts: number): void {
    if (this.#heard?.room !== room || !this.#heard.participantIds.includes(participantId)) return;
    this.emit({ type: 'user-audio', participantId, pts, pcm: new Uint8Array(960).fill(1) });
  }

  muteUserRoom(on: boolean): void {
    if (!this.#state.left && !this.#state.closed) this.calls.push({ method: 'muteUserRoom', on });
  }

  limitUserVideo(maxFps: number | undefined): void {
    if (!this.#state.left && !this.#state.closed) this.calls.push({ method: 'limitUserVideo', maxFps });
  }

  async raiseEpoch(epoch: number, signal: AbortSignal): Promise<void> {
    this.#record({ method: 'raiseEpoch', epoch }, signal);
    if (epoch <= this.#epoch) throw new FleetError('internal', `The epoch only rises: ${this.#epoch} to ${epoch}.`);
    this.#epoch = epoch;
  }

  async leave(): Promise<void> {
    if (this.#state.left || this.#state.closed) return;
    this.calls.push({ method: 'leave' });
    this.#state = { ...this.#state, left: true, tavus: false, user: false };
    this.#stopPlaying();
  }

  async close(): Promise<void> {
    if (this.#state.closed) return;
    this.calls.push({ method: 'close' });
    this.emit({ type: 'closed', code: 'asked', reason: 'closed' });
  }

  #record(call: FakeRoomCall, signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#state.closed) throw new FleetError('page-silent', 'The page is gone.');
    if (this.#state.left) throw new FleetError('room-lost', 'The rooms were left.');
    this.calls.push(call);
    const failure = this.failures.get(call.method);
    this.failures.delete(call.method);
    if (failure) throw failure;
  }

  #needTavus(): void {
    if (!this.#state.tavus) throw new FleetError('room-lost', 'The Tavus room is not joined.');
  }

  #needUserRoom(): void {
    if (!this.#state.user) throw new FleetError('user-room-refused', 'The user room is not joined.');
  }

  #joined(room: RoomName, options: JoinOptions, others: readonly Participant[]): Joined {
    const participantId = `local-${room}`;
    const local: Participant = {
      id: participantId,
      userName: options.userName,
      userData: this.identity,
      local: true,
      tracks: {},
    };
    return { participantId, participants: [local, ...others], maxMessageLength: this.maxMessageLength };
  }

  #play(): void {
    if (this.#player) return;
    this.#playingSince = this.#clock.now();
    this.#consumedBefore = this.#stream.consumed;
    this.#player = this.#clock.every(playedReportMs, () => {
      this.#settle();
      const { waiting, consumed } = this.#stream;
      if (waiting === 0) this.#stopPlaying();
      this.emit({ type: 'played', samples: consumed, waiting });
    });
  }

  /** Books what the time since the last look has played. */
  #settle(): void {
    if (!this.#player) return;
    const due = this.#consumedBefore + Math.round(((this.#clock.now() - this.#playingSince) / 1_000) * sampleRate);
    this.#stream.played(Math.min(due, this.#stream.consumed + this.#stream.waiting));
  }

  #stopPlaying(): void {
    this.#player?.[Symbol.dispose]();
    this.#player = undefined;
  }
}

/** Makes FakeRooms and keeps them, newest last. `prepare` sees each before its user does. */
export class FakeRooms implements Rooms {
  readonly opened: FakeRoom[] = [];
  prepare: (room: FakeRoom) => void = () => undefined;
  /** The next `open` rejects with this, once. */
  failure: FleetError | undefined;
  closed = false;
  readonly #clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  get last(): FakeRoom {
    const room = this.opened.at(-1);
    if (!room) throw new Error('No room was opened.');
    return room;
  }

  async open(identity: { conversationId: string; epoch: number }, signal: AbortSignal): Promise<FakeRoom> {
    signal.throwIfAborted();
    const failure = this.failure;
    this.failure = undefined;
    if (failure) throw failure;
    if (this.closed) throw new FleetError('browser-failed', 'The rooms are closed.');
    const room = new FakeRoom(identity, this.#clock);
    this.prepare(room);
    this.opened.push(room);
    return room;
  }

  async memoryBytes(): Promise<number> {
    return this.opened.filter((room) => !room.isClosed).length * 40e6;
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.opened.map((room) => room.close()));
  }
}
