import type { AudioEntry, ConversationSpec, UserAudioEntry, VideoEntry } from '@tavus-fleet/contracts';
import type { Clock } from '@tavus-fleet/lifecycle';
import type { Participant, PictureOptions, Room, RoomEvent } from '@tavus-fleet/rooms';
import type { FrameOut } from '@tavus-fleet/video-service';
import { AskedRate, type TimedPcm } from './asked-rate.ts';
import { OutputStream } from './output-stream.ts';
import { MAX_VOICES, UserVoices } from './user-voices.ts';

/** The streams of Redis, as the owner of the conversation; false = fenced. */
export type MediaOut = {
  audio(entries: readonly AudioEntry[]): Promise<boolean>;
  userAudio(entries: readonly UserAudioEntry[]): Promise<boolean>;
  video(entries: readonly VideoEntry[]): Promise<boolean>;
};
/** Why pieces of an output were dropped: label of `fleet_frames_dropped_total`. */
type Why = 'output-audio' | 'output-video' | 'output-user-audio';

export type MediaStreamsOptions = {
  readonly spec: ConversationSpec;
  readonly out: MediaOut;
  /** Redis' clock minus ours: entries carry Redis' time, as events do, so that it is one clock over all owners. */
  readonly skewMs: number;
  readonly onDropped: (count: number, ms: number, why: Why) => void;
  readonly requestKeyFrame: () => void;
  readonly onTooManyUsers: (most: number) => void;
  readonly clock: Clock;
};

const BLOCK_MS = 20;
/** As many JPEG pictures a second as are allowed, when nothing is said. */
const JPEG_FPS = 5;

/**
 * What a backend asked to get of a conversation's media, on its way to Redis: the avatar's voice, its picture, the users' voices.
 * None of it ever holds up the call.
 */
export class MediaStreams {
  /** What is wanted of the avatar: the option of the video service. */
  readonly wanted: { readonly audio: boolean; readonly video?: PictureOptions };
  readonly #where: 'tavus' | 'user';
  readonly #onTooManyUsers: (most: number) => void;
  #voices: UserVoices | undefined;
  readonly #skewMs: number;
  readonly #rate: number;
  readonly #sound: AskedRate;
  readonly #voiceRates = new Map<string, AskedRate>();
  readonly #audio: OutputStream<AudioEntry> | undefined;
  readonly #video: OutputStream<VideoEntry> | undefined;
  readonly #userAudio: OutputStream<UserAudioEntry> | undefined;

  constructor({ spec, out, skewMs, onDropped, requestKeyFrame, onTooManyUsers, clock }: MediaStreamsOptions) {
    const { streams, userAudio } = spec.output;
    this.#skewMs = skewMs;
    this.#rate = spec.audio.sampleRate;
    this.#sound = new AskedRate(this.#rate);
    const video = pictureOptions(streams?.video ?? false);
    this.wanted = { audio: streams?.audio ?? false, ...(video === undefined ? {} : { video }) };
    this.#where = spec.output.direct ? 'tavus' : 'user';
    this.#onTooManyUsers = onTooManyUsers;
    const sound = { clock, bytesOf: ({ audio }: AudioEntry): number => audio.byteLength };
    const dropped = (why: Why) => (count: number) =>
      onDropped(count, why === 'output-video' ? 0 : count * BLOCK_MS, why);
    if (streams?.audio)
      this.#audio = new OutputStream({
        ...sound,
        append: (entries) => out.audio(entries),
        onDropped: dropped('output-audio'),
      });
    if (userAudio)
      this.#userAudio = new OutputStream({
        ...sound,
        append: (entries: readonly UserAudioEntry[]) => out.userAudio(entries),
        onDropped: dropped('output-user-audio'),
      });
    if (video)
      this.#video = new OutputStream({
        clock,
        append: (entries) => out.video(entries),
        bytesOf: ({ frame }) => frame.byteLength,
        needsEarlier: ({ key }) => !key,
        onGap: requestKeyFrame,
        onDropped: dropped('output-video'),
      });
  }

  /** Hears the users, if they are wanted. To be called after whoever finds the avatar listens to the room. Answers how to stop. */
  hear(room: Pick<Room, 'on' | 'hearUsers'>, replicaId: () => string | undefined): () => void {
    if (!this.#userAudio) return () => undefined;
    const voices = new UserVoices({
      where: this.#where,
      hear: (ids) => room.hearUsers(this.#where, ids),
      replicaId,
      onTooMany: () => this.#onTooManyUsers(MAX_VOICES),
    });
    this.#voices = voices;
    return room.on((event) => voices.roomEvent(event));
  }

  /** Who was in the user room when it was joined. */
  present(participants: readonly Participant[]): void {
    this.#voices?.present(participants);
  }

  sound({ audio, pts }: Extract<FrameOut, { type: 'speech-output-audio' }>): void {
    if (this.#audio) for (const block of this.#sound.push({ pcm: audio, pts })) this.#audio.push(this.#entry(block));
  }

  picture({ image, format, width, height, key, pts }: Extract<FrameOut, { type: 'output-image' }>): void {
    this.#video?.push({ format, width, height, key, pts: pts + this.#skewMs, frame: image });
  }

  /** Of a room's events those that are media; the others do not matter here. */
  roomEvent(event: RoomEvent): void {
    if (event.type === 'user-audio') this.#voice(event.participantId, event);
    else if (event.type === 'participant-left') this.#voiceRates.delete(event.participant.id);
    else if (event.type === 'media-dropped')
      ({ audio: this.#audio, picture: this.#video, 'user-audio': this.#userAudio })[event.media]?.missed(event.count);
  }

  /** May be called twice. */
  close(): void {
    for (const stream of [this.#audio, this.#video, this.#userAudio]) stream?.close();
    this.#voiceRates.clear();
  }

  #voice(participant: string, block: TimedPcm): void {
    if (!this.#userAudio) return;
    const rate = this.#voiceRates.get(participant) ?? new AskedRate(this.#rate);
    this.#voiceRates.set(participant, rate);
    for (const each of rate.push(block)) this.#userAudio.push({ ...this.#entry(each), participant });
  }

  #entry({ pcm, pts }: TimedPcm): AudioEntry {
    return { rate: this.#rate, channels: 1, audio: pcm, pts: pts + this.#skewMs };
  }
}

/** What happened at a time is told by Redis' clock, as everywhere. `skewMs`: Redis' clock minus ours. */
export function byRedisClock(event: RoomEvent, skewMs: number): RoomEvent {
  return event.type === 'user-speech' ? { ...event, at: event.at + skewMs } : event;
}

type Asked = NonNullable<ConversationSpec['output']['streams']>['video'];

/** A width is for JPEG only: encoded pictures come as large as the avatar sends them. */
function pictureOptions(asked: Asked): PictureOptions | undefined {
  if (!asked) return undefined;
  const { format, maxFps, width } = asked;
  if (format === 'jpeg') return { format, maxFps: maxFps ?? JPEG_FPS, ...(width === undefined ? {} : { width }) };
  return { format, ...(maxFps === undefined ? {} : { maxFps }) };
}
