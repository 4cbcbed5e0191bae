import type { Page } from '@tavus-fleet/chromium';
import { FleetError } from '@tavus-fleet/contracts';
import { Emitter, firstOf, Latch, sleep, type Clock } from '@tavus-fleet/lifecycle';
import type { WebSocket } from 'ws';
import { Channel, withoutSecrets } from './channel.ts';
import type { MediaMessage } from './media-message.ts';
import type { JoinOptions, Joined, Room, RoomEvent, RoomName, UserRoomOptions, WatchOptions } from './port.ts';
import { StreamAccount } from './stream-account.ts';
import { WireFlushed, WireJoined, type Command, type Identity, type WireEvent } from './wire.ts';

const joinTimeoutMs = 25_000;
/** The page gives up first, so that it cleans up behind itself; ours only covers a page that does not answer. */
const answerSlackMs = 5_000;
const commandTimeoutMs = 8_000;
const flushTimeoutMs = 2_000;
const leaveTimeoutMs = 8_000;
const blameGraceMs = 300;
/** Events that the page sent before anyone listened. */
const maxEarlyEvents = 256;

/** What a room needs of its page. */
export type PageHandle = Pick<Page, 'onClosed' | 'close'>;
type Parts = {
  readonly page: PageHandle;
  readonly socket: WebSocket;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly log: (line: string) => void;
};
type ClosedCode = Extract<RoomEvent, { type: 'closed' }>['code'];

/** The Daily adapter of the port `Room`: one page and its channel. Whoever opened it closes it; `closed` is its last event, once. */
export class DailyRoom implements Room {
  readonly #page: PageHandle;
  readonly #channel: Channel;
  readonly #events: Emitter<RoomEvent>;
  readonly #log: (line: string) => void;
  readonly #stream = new StreamAccount();
  readonly #closed = new Latch<ClosedCode>();
  #identity: Identity;
  #early: RoomEvent[] = [];
  #published = false;
  #leaving: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor({ page, socket, identity, clock, log }: Parts) {
    this.#page = page;
    this.#identity = identity;
    this.#log = log;
    this.#events = new Emitter((error) => log(`a room listener threw: ${String(error)}`));
    this.#channel = new Channel(
      socket,
      identity,
      { onEvent: (event) => this.#receive(event), onMedia: (message) => this.#receiveMedia(message) },
      clock,
    );
    page.onClosed(
      (why) => void this.#end('page-crashed', why === 'crash' ? 'The page crashed.' : 'The page was closed.'),
    );
    void this.#watchChannel(clock);
  }

  /** Resolves with why it is over; never rejects. */
  get closed(): Promise<ClosedCode> {
    return this.#closed.promise;
  }

  on(listener: (event: RoomEvent) => void): () => void {
    const off = this.#events.on(listener);
    const early = this.#early;
    this.#early = [];
    for (const event of early) this.#events.emit(event);
    return off;
  }

  async join(options: JoinOptions, signal: AbortSignal): Promise<Joined> {
    return this.#join('tavus', options, signal);
  }

  async joinUserRoom(options: UserRoomOptions, signal: AbortSignal): Promise<Joined> {
    return this.#join('user', options, signal);
  }

  async showInUserRoom(kind: 'video' | 'audio', signal: AbortSignal): Promise<void> {
    await this.#command({ type: 'show-in-user-room', kind }, commandTimeoutMs, signal);
  }

  async endUserAudio(maxMs: number, signal: AbortSignal): Promise<void> {
    await this.#command({ type: 'end-user-audio', maxMs }, maxMs + commandTimeoutMs, signal);
  }

  async publishStream(signal: AbortSignal): Promise<void> {
    this.#published = false;
    this.#stream.reset();
    await this.#command({ type: 'publish-stream' }, commandTimeoutMs, signal);
    this.#stream.reset(); // a report of the old track may have come in between
    this.#published = true;
  }

  async unpublishStream(signal: AbortSignal): Promise<void> {
    this.#published = false;
    await this.#command({ type: 'unpublish-stream' }, commandTimeoutMs, signal);
  }

  write(pcm: Uint8Array): boolean {
    if (!this.#published || this.#closed.isSet) return false;
    if (pcm.byteLength % 2 !== 0) throw new FleetError('internal', 'PCM must hold whole 16-bit samples.');
    if (!this.#stream.take(pcm.byteLength / 2)) return false;
    const sent = this.#channel.sendAudio(pcm);
    // Counted but not sent: nobody will report it as consumed.
    if (!sent) this.#stream.giveBack(pcm.byteLength / 2);
    return sent;
  }

  async flush(signal: AbortSignal): Promise<{ playedSamples: number }> {
    const writtenBefore = this.#stream.written;
    const { playedSamples } = WireFlushed.parse(await this.#command({ type: 'flush' }, flushTimeoutMs, signal));
    this.#stream.flushed(playedSamples, writtenBefore);
    return { playedSamples };
  }

  async send(data: unknown, signal: AbortSignal): Promise<void> {
    await this.#command({ type: 'send', data }, commandTimeoutMs, signal);
  }

  watch(participantId: string, { video, audio, pcm = false, picture }: WatchOptions): void {
    this.#tell({ type: 'watch', participantId, video, audio, pcm, ...(picture === undefined ? {} : { picture }) });
  }

  requestKeyFrame(): void {
    this.#tell({ type: 'request-key-frame' });
  }

  hearUsers(room: RoomName, participantIds: readonly string[]): void {
    this.#tell({ type: 'hear-users', room, participantIds });
  }

  muteUserRoom(on: boolean): void {
    this.#tell({ type: 'mute-user-room', on });
  }

  limitUserVideo(maxFps: number | undefined): void {
    this.#tell({ type: 'limit-user-video', ...(maxFps === undefined ? {} : { maxFps }) });
  }

  async raiseEpoch(epoch: number, signal: AbortSignal): Promise<void> {
    if (epoch <= this.#identity.epoch)
      throw new FleetError('internal', `The epoch only rises: ${this.#identity.epoch} to ${epoch}.`);
    const raised = this.#command({ type: 'raise-epoch', epoch }, commandTimeoutMs, signal);
    // Both ends count from this command on, not from its answer: what is sent meanwhile is the new session's.
    this.#identity = { ...this.#identity, epoch };
    this.#channel.setIdentity(this.#identity);
    await raised;
  }

  leave(signal?: AbortSignal): Promise<void> {
    this.#leaving ??= this.#leave(signal);
    return this.#leaving;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** The browser under the page is gone. */
  browserFailed(reason: string): void {
    void this.#end('browser-failed', reason);
  }

  async #watchChannel(clock: Clock): Promise<void> {
    const { code, reason } = await this.#channel.ended;
    // The socket of a page that crashed closes first; who is to blame is known a moment later.
    if (code === 'page-silent') await firstOf<unknown>([this.#closed.promise, sleep(clock, blameGraceMs)]);
    await this.#end(code, reason);
  }

  async #leave(signal: AbortSignal | undefined): Promise<void> {
    this.#published = false;
    if (this.#closed.isSet) return;
    try {
      await this.#channel.command({ type: 'leave' }, leaveTimeoutMs, signal);
    } catch (error) {
      // A page that cannot leave any more is closed next, which leaves just as well, later: Daily drops its participants.
      this.#log(`leaving the rooms failed: ${error instanceof FleetError ? error.code : 'unknown'}`);
    }
  }

  async #close(): Promise<void> {
    await this.#end('asked', 'closed');
  }

  async #join(
    room: 'tavus' | 'user',
    { url, token, userName, stream = false, hidden = false }: UserRoomOptions,
    signal: AbortSignal,
  ): Promise<Joined> {
    const code = room === 'tavus' ? 'room-join-failed' : 'user-room-refused';
    const command: Command = {
      type: 'join',
      room,
      url,
      ...(token === undefined ? {} : { token }),
      userName,
      hidden,
      stream,
      timeoutMs: joinTimeoutMs,
    };
    try {
      const joined = WireJoined.parse(await this.#command(command, joinTimeoutMs + answerSlackMs, signal));
      return { ...joined, participants: joined.participants.map(toParticipant) };
    } catch (error) {
      if (signal.aborted || (error instanceof FleetError && error.code === 'deadline-exceeded'))
        this.#tell({ type: 'cancel-join', room });
      signal.throwIfAborted();
      if (error instanceof FleetError && error.code !== 'deadline-exceeded' && error.code !== 'internal') throw error;
      throw new FleetError(code, 'The room could not be joined.', { cause: error });
    }
  }

  #command(command: Command, timeoutMs: number, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    if (this.#leaving) return Promise.reject(new FleetError('room-lost', 'The rooms were left.'));
    return this.#channel.command(command, timeoutMs, signal);
  }

  /** A command nobody waits for. Its failure is the page's, which says so by itself. */
  #tell(command: Command): void {
    if (this.#leaving || this.#closed.isSet) return;
    this.#channel
      .command(command, commandTimeoutMs)
      .catch((error: unknown) => this.#log(`${command.type} failed: ${withoutSecrets(String(error))}`));
  }

  #receive(event: WireEvent): void {
    if (event.type === 'played') {
      this.#stream.played(event.samples);
      return this.#emit({ type: 'played', samples: event.samples, waiting: this.#stream.waiting });
    }
    if (event.type === 'participant-joined' || event.type === 'participant-updated') {
      return this.#emit({ type: event.type, room: event.room, participant: toParticipant(event.participant) });
    }
    if (event.type === 'participant-left') {
      const { reason, participant, ...rest } = event;
      return this.#emit({
        ...rest,
        participant: toParticipant(participant),
        ...(reason === undefined ? {} : { reason }),
      });
    }
    if (event.type === 'lost') return this.#emit({ ...event, reason: withoutSecrets(event.reason) });
    this.#emit(event);
  }

  #receiveMedia(message: MediaMessage): void {
    switch (message.kind) {
      case 'audio':
        return this.#emit({ type: 'audio', pcm: message.pcm, pts: message.pts });
      case 'user-audio': {
        const { participantId, pcm, pts } = message;
        return this.#emit({ type: 'user-audio', participantId, pcm, pts });
      }
      case 'picture':
        return this.#emit({ type: 'picture', picture: message.picture });
      default:
        return message satisfies never;
    }
  }

  #emit(event: RoomEvent): void {
    if (this.#events.size > 0) return this.#events.emit(event);
    // The owner listens right after `open`; what came in between must not be lost.
    if (this.#early.length < maxEarlyEvents) this.#early.push(event);
  }

  async #end(code: ClosedCode, reason: string): Promise<void> {
    if (this.#closed.set(code)) {
      this.#published = false;
      this.#channel.close();
      this.#emit({ type: 'closed', code, reason });
    }
    await this.#page.close();
  }
}

// zod gives `undefined` for an absent key where the port leaves the key out.
function toParticipant(wire: WireJoined['participants'][number]): Joined['participants'][number] {
  const { id, userId, userName, userData, local, tracks } = wire;
  return {
    id,
    ...(userId === undefined ? {} : { userId }),
    ...(userName === undefined ? {} : { userName }),
    ...(userData === undefined ? {} : { userData }),
    local,
    tracks,
  };
}
