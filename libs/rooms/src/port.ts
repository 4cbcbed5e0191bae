import type { ErrorCode, VideoFormat } from '@tavus-fleet/contracts';

/** Which of a session's two rooms: Tavus room = avatar + bot; user room = bot + users. */
export type RoomName = 'tavus' | 'user';

/** One participant as daily-js shows it. `tracks` holds the state of each track by daily-js' name (`video`, `audio`, `stream`, …). */
export type Participant = {
  readonly id: string;
  readonly userId?: string;
  readonly userName?: string;
  readonly userData?: unknown;
  readonly local: boolean;
  readonly tracks: Readonly<Record<string, TrackState>>;
};
export type TrackState = 'blocked' | 'off' | 'sendable' | 'loading' | 'interrupted' | 'playable';

/** Media truth about the watched participant, once a second; counters since it was watched. */
export type MediaReport = {
  /** Pictures decoded so far, and in the last second. */
  readonly framesDecoded: number;
  readonly fps: number;
  readonly width: number;
  readonly height: number;
  /** Audio samples received so far at 48 kHz, and the share of them that the jitter buffer made up. */
  readonly audioSamples: number;
  readonly concealedSamples: number;
  /** Loudest absolute sample of the last second, 0–1. */
  readonly audioPeak: number;
};

/** One picture of the watched participant. */
export type Picture = {
  readonly format: VideoFormat;
  readonly width: number;
  readonly height: number;
  /** Can be shown without any before it. */
  readonly key: boolean;
  /** When it was there, ms since 1970, on the clock of the participant's sound: shown together they are as they were sent. */
  readonly pts: number;
  readonly data: Uint8Array;
};

/** What a room tells its owner. Times are ms since 1970. */
export type RoomEvent =
  | { readonly type: 'participant-joined'; readonly room: RoomName; readonly participant: Participant }
  | { readonly type: 'participant-updated'; readonly room: RoomName; readonly participant: Participant }
  | {
      readonly type: 'participant-left';
      readonly room: RoomName;
      readonly participant: Participant;
      readonly reason?: string;
    }
  | { readonly type: 'message'; readonly room: RoomName; readonly fromId: string; readonly data: unknown }
  /** The watched participant's audio crossed between silence and speech; `at` is when the sound was received. */
  | { readonly type: 'speech'; readonly speaking: boolean; readonly at: number }
  | { readonly type: 'media'; readonly report: MediaReport }
  /** First decoded picture of the watched participant. */
  | { readonly type: 'video-arrived' }
  /** Sound of the watched participant, s16le mono 24 kHz, 20 ms each; only while watched with `pcm`. */
  | { readonly type: 'audio'; readonly pcm: Uint8Array; /** When it began, ms since 1970. */ readonly pts: number }
  /** Only while watched with `picture`. The first encoded one is a key frame; after a gap the next is one again. */
  | { readonly type: 'picture'; readonly picture: Picture }
  /** Sound of one of those that `hearUsers` named, as of `audio`. */
  | { readonly type: 'user-audio'; readonly participantId: string; readonly pcm: Uint8Array; readonly pts: number }
  /** One of them began or ceased to speak. */
  | { readonly type: 'user-speech'; readonly participantId: string; readonly speaking: boolean; readonly at: number }
  /** The page had to leave out so many pieces, because our process did not take them. */
  | { readonly type: 'media-dropped'; readonly media: 'audio' | 'user-audio' | 'picture'; readonly count: number }
  /** Samples (24 kHz) that the track `stream` has consumed since `publishStream`, and those still waiting in the page. */
  | { readonly type: 'played'; readonly samples: number; readonly waiting: number }
  | { readonly type: 'network'; readonly room: RoomName; readonly connected: boolean }
  /** The page saw its own conversation there with a higher epoch; it has muted itself and is leaving. */
  | { readonly type: 'evicted'; readonly epoch: number }
  /** We are out of that room without having asked: ejected, room gone, network lost, refused. */
  | { readonly type: 'lost'; readonly room: RoomName; readonly code: ErrorCode; readonly reason: string }
  /** The page itself is gone or does not answer: nothing of this room works any more. Always the last event. */
  | {
      readonly type: 'closed';
      readonly code: 'page-crashed' | 'page-silent' | 'browser-failed' | 'asked';
      readonly reason: string;
    };

export type JoinOptions = {
  readonly url: string;
  readonly token?: string;
  /** Shown to the others. In the Tavus room it is exactly `Pipecat`: replicas look for the track of that name. */
  readonly userName: string;
  /** `publishStream` will follow: what it needs is built meanwhile. */
  readonly stream?: boolean;
};

/** `hidden`: only joins; what is watched is published when `showInUserRoom` says so. */
export type UserRoomOptions = JoinOptions & { readonly hidden?: boolean };

/** In which form pictures are handed out. `maxFps`: at most so many a second. */
export type PictureOptions =
  /** `width`: at most so many pixels; the height follows. */
  | { readonly format: 'jpeg'; readonly maxFps: number; readonly width?: number }
  /** The participant's own encoding, as it came. `maxFps` leaves out upper temporal layers, where it has some. */
  | { readonly format: 'encoded'; readonly maxFps?: number };

/** `pcm` also hands the participant's sound out as `audio` events, `picture` its pictures. */
export type WatchOptions = {
  readonly video: boolean;
  readonly audio: boolean;
  readonly pcm?: boolean;
  readonly picture?: PictureOptions;
};

export type Joined = {
  readonly participantId: string;
  readonly participants: readonly Participant[];
  /** Longest app message, UTF-16 units of its JSON. */ readonly maxMessageLength: number;
};

/**
 * One session's media: a page with the real daily-js, in the Tavus room and, when asked for, in the user room. One owner,
 * who closes it. Every call outward takes a signal and has a deadline of its own; failures are FleetErrors. Events keep their
 * order; listeners must not throw.
 */
export interface Room {
  on(listener: (event: RoomEvent) => void): () => void;
  /** Joins the Tavus room with `userData {conversationId, epoch}`. Rejects with `room-join-failed` and leaves nothing behind. */
  join(options: JoinOptions, signal: AbortSignal): Promise<Joined>;
  /** Publishes the custom audio track `stream`: digital silence until something is written. */
  publishStream(signal: AbortSignal): Promise<void>;
  /** Takes the track `stream` away again; what it has not played is lost. May be called twice. */
  unpublishStream(signal: AbortSignal): Promise<void>;
  /** Appends s16le mono 24 kHz to what the track plays in real time. At most 10 s wait in the page; what is over is refused (false). Never blocks. */
  write(pcm: Uint8Array): boolean;
  /** Drops what waits, within one audio quantum of its arrival. Answers the samples consumed since `publishStream`: how much was really played. */
  flush(signal: AbortSignal): Promise<{ playedSamples: number }>;
  /** Sends an app message to everyone in the Tavus room. Rejects with `message-refused` (for example too long). */
  send(data: unknown, signal: AbortSignal): Promise<void>;
  /** Subscribes to that participant's video and audio in the Tavus room, detects speech, reports media, and re-publishes it into the user room once that is joined. A later call replaces the participant. */
  watch(participantId: string, options: WatchOptions): void;
  /** Asks for a picture that needs none before it; for encoded pictures, where a consumer lost some. Never blocks; asking often is asking about twice a second. */
  requestKeyFrame(): void;
  /** From now on hears exactly these participants of that room, as soon as they have sound, beside whoever is watched; they come as `user-audio`. Never blocks. */
  hearUsers(room: RoomName, participantIds: readonly string[]): void;
  /** Says to everyone in both rooms that this is now the session of that higher epoch (after a hand-over): a page of a lower epoch that sees it leaves. Later commands carry it too. */
  raiseEpoch(epoch: number, signal: AbortSignal): Promise<void>;
  /** Joins the user room and re-publishes there what is watched. Rejects with `user-room-refused`. */
  joinUserRoom(options: UserRoomOptions, signal: AbortSignal): Promise<Joined>;
  /** After a hidden join: publishes the watched participant's picture or sound there; resolves when Daily shows it as sent. Asking again is asking once. */
  showInUserRoom(kind: 'video' | 'audio', signal: AbortSignal): Promise<void>;
  /** Takes our sound out of the user room for good: what the watched participant is saying is let out first, for `maxMs` at the most. */
  endUserAudio(maxMs: number, signal: AbortSignal): Promise<void>;
  /** Silences what the user room hears until turned off: stale avatar audio after an interruption. */
  muteUserRoom(on: boolean): void;
  /** At most so many pictures a second go to the user room (1–60); undefined: as many as come. Also before that room is joined. Never blocks; a call machine that refuses it loses nothing but the saving. */
  limitUserVideo(maxFps: number | undefined): void;
  /** Leaves both rooms, user room first; resolves when Daily said `left-meeting` or the deadline passed. May be called twice. */
  leave(signal?: AbortSignal): Promise<void>;
  /** Closes the page. May be called twice, early, or before join. */
  close(): Promise<void>;
}

/** Makes rooms for sessions. Owns the browsers behind them. */
export interface Rooms {
  open(identity: { conversationId: string; epoch: number }, signal: AbortSignal): Promise<Room>;
  /** Resident memory of the browsers, bytes. */
  memoryBytes(): Promise<number>;
  close(): Promise<void>;
}
