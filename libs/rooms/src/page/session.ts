import type { RoomName, WatchOptions } from '../port.ts';
import type { Command, FromPage, Hello, Identity, WireEvent, WireJoined, WireParticipant } from '../wire.ts';
import { Call } from './call.ts';
import { MediaGraph } from './media-graph.ts';
import { MediaMeter } from './media-meter.ts';
import { PictureTap } from './picture-tap.ts';
import type { FromWorker, ToWorker } from './ports.ts';
import { UserTracks } from './user-tracks.ts';

type ErrorCode = Extract<FromPage, { type: 'answer'; ok: false }>['code'];
class Refused extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, cause: unknown) {
    super(textOf(cause));
    this.code = code;
  }
}

/**
 * One conversation's media in this page: up to two calls, one media graph, one worker. It only does what the channel's
 * commands say, except for three things it decides by itself: attach tracks as they come, leave when our process is gone,
 * and leave when a later session of the same conversation shows itself.
 */
export class PageSession {
  readonly #worker = new Worker('/worker.js', { type: 'module' });
  readonly #graph = new MediaGraph((message, transfer) => this.#worker.postMessage(message, transfer ?? []));
  readonly #meter = new MediaMeter();
  readonly #tap = new PictureTap(this.#worker);
  readonly #users = new UserTracks((message, transfer) => this.#worker.postMessage(message, transfer ?? []));
  readonly #hello: Hello;
  #identity: Identity;
  #tavus: Call | undefined;
  #user: Call | undefined;
  #watched: { readonly participantId: string; readonly options: WatchOptions } | undefined;
  #published = false;
  #userVideo: MediaStreamTrack | undefined;
  #userMaxFps: number | undefined;
  /** What of the watched participant the user room is to get. */
  #shown = { video: true, audio: true };
  #onHushed: (() => void) | undefined;
  #videoArrived = false;
  #attaching: Promise<void> = Promise.resolve();
  #over = false;

  constructor(hello: Hello) {
    this.#hello = hello;
    this.#identity = hello.identity;
  }

  /** Resolves when our process has accepted the token. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#worker.addEventListener('message', (event: MessageEvent<FromWorker>) => {
        const message = event.data;
        if (message.type === 'opened') resolve();
        else if (message.type === 'failed') reject(new Error(message.reason));
        else if (message.type === 'hushed') this.#onHushed?.();
        else if (message.type === 'command') void this.#answer(message.id, message.command);
        else if (message.type === 'tick') void this.#tick(message);
        else void this.#giveUp();
      });
      this.#worker.addEventListener('error', () => reject(new Error('The session worker did not start.')));
      this.#post({ type: 'start', hello: this.#hello, url: `ws://${location.host}/channel` });
    });
  }

  async #answer(id: number, command: Command): Promise<void> {
    try {
      const result = await this.#run(command);
      this.#post({
        type: 'send',
        message: { type: 'answer', id, ok: true, ...(result === undefined ? {} : { result }) },
      });
    } catch (error) {
      const code = error instanceof Refused ? error.code : 'internal';
      this.#post({ type: 'send', message: { type: 'answer', id, ok: false, code, reason: textOf(error) } });
    }
  }

  async #run(command: Command): Promise<unknown> {
    switch (command.type) {
      case 'join':
        return command.room === 'tavus' ? this.#joinTavus(command) : this.#joinUser(command);
      case 'cancel-join':
        return command.room === 'tavus' ? this.#tavus?.leave() : this.#user?.leave();
      case 'publish-stream':
        return this.#publishStream();
      case 'unpublish-stream':
        return this.#unpublishStream();
      case 'show-in-user-room':
        return this.#showInUserRoom(command.kind);
      case 'end-user-audio':
        return this.#endUserAudio(command.maxMs);
      case 'send':
        return this.#send(command.data);
      case 'watch':
        return this.#watch(command.participantId, command);
      case 'hear-users':
        return this.#users.want(command.room, command.participantIds, this.#callOf(command.room));
      case 'limit-user-video':
        return this.#limitUserVideo(command.maxFps);
      case 'raise-epoch':
        return this.#raiseEpoch(command.epoch);
      case 'leave':
        return this.#leave();
      case 'flush':
        return { playedSamples: 0 }; // no ring yet, so nothing was ever played; otherwise the worker has answered
      case 'mute-user-room':
      case 'request-key-frame':
        return undefined; // the worker has done it, and answered
      default:
        throw new Error('unknown command');
    }
  }

  async #joinTavus(command: Extract<Command, { type: 'join' }>): Promise<WireJoined> {
    if (this.#tavus && !this.#tavus.isOver) throw new Refused('room-join-failed', 'The Tavus room was joined before.');
    const call = new Call('tavus', this.#hello.bundleUrl, {
      onEvent: (event) => this.#event(event),
      onParticipant: (participant) => {
        this.#lookForSuccessor(participant);
        if (participant.id === this.#watched?.participantId) this.#attach();
        this.#lookForVoices('tavus');
      },
      onGone: () => this.#lookForVoices('tavus'),
    });
    this.#tavus = call;
    this.#published = false;
    // Whoever asks for the track hears of a failure.
    if (command.stream) this.#graph.prepareStream().catch(() => undefined);
    try {
      const joined = await call.join(command, this.#identity, { videoSource: false, audioSource: false });
      for (const participant of joined.participants) this.#lookForSuccessor(participant);
      return joined;
    } catch (error) {
      throw new Refused('room-join-failed', error);
    }
  }

  async #joinUser(command: Extract<Command, { type: 'join' }>): Promise<WireJoined> {
    if (this.#user && !this.#user.isOver) throw new Refused('user-room-refused', 'The user room was joined before.');
    const call = new Call('user', this.#hello.bundleUrl, {
      onEvent: (event) => this.#event(event),
      onParticipant: () => this.#lookForVoices('user'),
      onGone: () => this.#lookForVoices('user'),
    });
    this.#user = call;
    try {
      this.#shown = { video: !command.hidden, audio: !command.hidden };
      // The replica's sound may come through a session that is not allowed to be heard yet: the gate decides, not the track.
      const video = this.#shown.video ? this.#watchedTrack('video') : undefined;
      const joined = await call.join(command, this.#identity, {
        videoSource: video ?? false,
        audioSource: this.#shown.audio && this.#graph.userAudioTrack(),
        maxFps: this.#userMaxFps,
      });
      this.#userVideo = video;
      this.#attach();
      this.#lookForVoices('user');
      return joined;
    } catch (error) {
      throw new Refused('user-room-refused', error);
    }
  }

  async #publishStream(): Promise<void> {
    const call = this.#joinedTavus();
    const track = await this.#graph.streamTrack();
    this.#post({ type: 'reset-ring' });
    if (this.#published) await call.unpublishStream();
    this.#published = false;
    await call.publishStream(track);
    this.#published = true;
  }

  async #unpublishStream(): Promise<void> {
    if (!this.#published) return;
    this.#published = false;
    await this.#joinedTavus().unpublishStream();
  }

  async #showInUserRoom(kind: 'video' | 'audio'): Promise<void> {
    const call = this.#user;
    if (!call?.joined || this.#over) throw new Refused('user-room-refused', 'The user room is not joined.');
    if (this.#shown[kind]) return;
    this.#shown[kind] = true;
    if (kind === 'audio') {
      await call.publishAudio(this.#graph.userAudioTrack());
    } else {
      this.#attach();
      await this.#attaching;
      if (!this.#userVideo) return; // no picture of the participant yet: published as it comes
    }
    await call.untilSent(kind);
  }

  async #endUserAudio(maxMs: number): Promise<void> {
    const hushed = Promise.withResolvers<void>();
    this.#onHushed = hushed.resolve;
    this.#post({ type: 'hush', maxMs });
    await hushed.promise;
    this.#shown.audio = false;
    if (this.#user?.joined) this.#user.stopAudio();
  }

  #send(data: unknown): void {
    const call = this.#joinedTavus();
    try {
      call.send(data);
    } catch (error) {
      throw new Refused('message-refused', error);
    }
  }

  #watch(participantId: string, { video, audio, pcm, picture }: WatchOptions): void {
    const call = this.#joinedTavus();
    const before = this.#watched?.participantId;
    if (before !== undefined && before !== participantId) call.subscribe(before, { audio: false, video: false });
    if (before !== participantId) {
      this.#meter.reset();
      this.#videoArrived = false;
    }
    this.#watched = {
      participantId,
      options: { video, audio, pcm: pcm ?? false, ...(picture === undefined ? {} : { picture }) },
    };
    if (picture?.format === 'encoded') this.#tap.prepare();
    call.subscribe(participantId, { audio, video });
    this.#attach();
  }

  #lookForVoices(room: RoomName): void {
    if (!this.#over && this.#users.isIn(room)) this.#users.look(this.#callOf(room));
  }

  #callOf(room: RoomName): Call | undefined {
    return room === 'tavus' ? this.#tavus : this.#user;
  }

  async #limitUserVideo(maxFps: number | undefined): Promise<void> {
    this.#userMaxFps = maxFps;
    if (this.#user?.joined) await this.#user.limitVideo(maxFps);
  }

  async #raiseEpoch(epoch: number): Promise<void> {
    this.#identity = { ...this.#identity, epoch };
    for (const call of [this.#tavus, this.#user]) if (call?.joined) await call.setUserData(this.#identity);
  }

  async #leave(): Promise<void> {
    this.#users.close();
    await this.#user?.leave();
    await this.#tavus?.leave();
    await this.#graph.close();
  }

  /** Our process is gone or has been replaced. Silence comes first and does not wait for Daily. */
  async #giveUp(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    await this.#leave();
  }

  #lookForSuccessor(participant: WireParticipant): void {
    const epoch = epochOf(participant.userData, this.#identity.conversationId);
    if (participant.local || epoch === undefined || epoch <= this.#identity.epoch || this.#over) return;
    this.#post({ type: 'mute', on: true });
    this.#post({ type: 'reset-ring' });
    this.#event({ type: 'evicted', epoch });
    void this.#giveUp();
  }

  /** Brings the graph to the tracks that are there now. One after the other: each step awaits Daily or an element. */
  #attach(): void {
    this.#attaching = this.#attaching
      .then(() => this.#attachNow())
      .catch((error: unknown) => console.warn('attach', textOf(error)));
  }

  async #attachNow(): Promise<void> {
    if (this.#over) return;
    const video = this.#watchedTrack('video');
    const audio = this.#watchedTrack('audio');
    this.#meter.watch(video, audio);
    this.#tap.tap(video, this.#watched?.options.picture);
    await this.#graph.hear(audio, this.#watched?.options.pcm ?? false);
    if (!this.#shown.video || !this.#user?.joined || !video || video === this.#userVideo) return;
    await this.#user.publishVideo(video);
    this.#userVideo = video;
  }

  async #tick({ second, audioPeak }: Extract<FromWorker, { type: 'tick' }>): Promise<void> {
    this.#post({ type: 'main-alive' });
    if (this.#over || !this.#watched) return;
    if (!this.#videoArrived && this.#watched.options.video && (await this.#meter.framesDecoded()) > 0) {
      this.#videoArrived = true;
      this.#event({ type: 'video-arrived' });
    }
    await this.#measureDelays();
    if (!second) return;
    this.#event({ type: 'media', report: await this.#meter.report(audioPeak) });
    if (this.#user?.joined) await this.#meter.keepPictureSize();
  }

  /** So that pictures get their times on the clock of the sound. */
  async #measureDelays(): Promise<void> {
    const { picture, audio } = this.#watched?.options ?? { audio: false };
    if (picture === undefined) return;
    this.#tap.tap(this.#watchedTrack('video'), picture); // its receiver may not have been known before
    const delays = await this.#meter.delays(audio);
    if (delays) this.#post({ type: 'delays', delays });
  }

  #watchedTrack(kind: 'audio' | 'video'): MediaStreamTrack | undefined {
    if (!this.#watched?.options[kind] || !this.#tavus?.joined) return undefined;
    return this.#tavus.track(this.#watched.participantId, kind);
  }

  #joinedTavus(): Call {
    if (!this.#tavus?.joined || this.#over) throw new Refused('room-lost', 'The Tavus room is not joined.');
    return this.#tavus;
  }

  #event(event: WireEvent): void {
    this.#post({ type: 'send', message: { type: 'event', event } });
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message, []);
  }
}

function epochOf(userData: unknown, conversationId: string): number | undefined {
  if (typeof userData !== 'object' || userData === null || !('conversationId' in userData) || !('epoch' in userData))
    return undefined;
  return userData.conversationId === conversationId && typeof userData.epoch === 'number' ? userData.epoch : undefined;
}

/** Whatever was thrown: Daily rejects with Errors, strings and event objects. */
function textOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message.slice(0, 900);
  if (typeof thrown === 'string') return thrown.slice(0, 900);
  if (typeof thrown !== 'object' || thrown === null) return 'unknown';
  const type: unknown =
    'error' in thrown && typeof thrown.error === 'object' && thrown.error !== null
      ? Reflect.get(thrown.error, 'type')
      : undefined;
  const message: unknown = Reflect.get(thrown, 'errorMsg');
  return (
    [type, message]
      .filter((part) => typeof part === 'string')
      .join(': ')
      .slice(0, 900) || 'unknown'
  );
}
