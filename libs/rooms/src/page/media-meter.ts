import type { Delays } from '../picture-clock.ts';
import type { MediaReport } from '../port.ts';
import { receiverOf, videoSenders } from './connections.ts';
import { FrameCounter } from './frame-counter.ts';

type Video = { framesDecoded: number; width: number; height: number };
type WatchedVideo = { readonly track: MediaStreamTrack; last: Video; misses: number; counter?: FrameCounter };
type Sound = { audioSamples: number; concealedSamples: number };
/** Time that pieces spent waiting, all together, and how many they were. */
type Waited = { readonly seconds: number; readonly pieces: number };

// Looked at every 100 ms: half a second is more than a connection needs to show its receiver.
const MISSES_BEFORE_COUNTING = 5;

/** Counts what was really decoded of the watched participant, since it was watched, across replaced tracks. */
export class MediaMeter {
  #video: WatchedVideo | undefined;
  #sound: { readonly track: MediaStreamTrack; last: Sound } | undefined;
  readonly #before = { framesDecoded: 0, audioSamples: 0, concealedSamples: 0 };
  #lastFrames = 0;
  readonly #tuned = new WeakSet<RTCRtpSender>();
  #waited: { audio: Waited | undefined; video: Waited | undefined } = { audio: undefined, video: undefined };
  #delays: Delays | undefined;

  watch(video: MediaStreamTrack | undefined, sound: MediaStreamTrack | undefined): void {
    if (this.#video?.track !== video) {
      this.#before.framesDecoded += this.#video?.last.framesDecoded ?? 0;
      this.#video?.counter?.stop();
      this.#video = video && { track: video, last: { framesDecoded: 0, width: 0, height: 0 }, misses: 0 };
    }
    if (this.#sound?.track !== sound) {
      this.#before.audioSamples += this.#sound?.last.audioSamples ?? 0;
      this.#before.concealedSamples += this.#sound?.last.concealedSamples ?? 0;
      this.#sound = sound && { track: sound, last: { audioSamples: 0, concealedSamples: 0 } };
    }
  }

  /** A new participant: everything from 0. */
  reset(): void {
    this.#video?.counter?.stop();
    this.#video = undefined;
    this.#sound = undefined;
    this.#waited = { audio: undefined, video: undefined };
    this.#delays = undefined;
    Object.assign(this.#before, { framesDecoded: 0, audioSamples: 0, concealedSamples: 0 });
    this.#lastFrames = 0;
  }

  /** Pictures decoded so far, without a full report. */
  async framesDecoded(): Promise<number> {
    await this.#readVideo();
    return this.#before.framesDecoded + (this.#video?.last.framesDecoded ?? 0);
  }

  /** To be called once a second: `fps` is the difference to the last call. */
  async report(audioPeak: number): Promise<MediaReport> {
    const [framesDecoded] = await Promise.all([this.framesDecoded(), this.#readSound()]);
    const fps = Math.max(0, framesDecoded - this.#lastFrames);
    this.#lastFrames = framesDecoded;
    return {
      framesDecoded,
      fps,
      width: this.#video?.last.width ?? 0,
      height: this.#video?.last.height ?? 0,
      audioSamples: this.#before.audioSamples + (this.#sound?.last.audioSamples ?? 0),
      concealedSamples: this.#before.concealedSamples + (this.#sound?.last.concealedSamples ?? 0),
      audioPeak,
    };
  }

  /**
   * How long sound and pictures waited here before they were handed out, on average since the last call; what brought nothing
   * new keeps its figure; without sound that waits 0. Undefined until it is known.
   */
  async delays(withSound: boolean): Promise<Delays | undefined> {
    const [sound, video] = await Promise.all([inboundStats(this.#sound?.track), inboundStats(this.#video?.track)]);
    const audio = waitedOf(sound?.jitterBufferDelay, sound?.jitterBufferEmittedCount);
    const pictures = waitedOf(video?.totalProcessingDelay, video?.framesDecoded);
    const audioMs = withSound ? (meanMs(this.#waited.audio, audio) ?? this.#delays?.audioMs) : 0;
    const videoMs = meanMs(this.#waited.video, pictures) ?? this.#delays?.videoMs ?? 0;
    this.#waited = { audio, video: pictures };
    if (audioMs !== undefined) this.#delays = { audioMs, videoMs };
    return this.#delays;
  }

  /** Asks the encoder to keep the picture's size when bandwidth is short: WebRTC starts at 300 kbit/s and would show half the size at first. */
  async keepPictureSize(): Promise<void> {
    for (const sender of videoSenders()) {
      if (this.#tuned.has(sender)) continue;
      this.#tuned.add(sender);
      const parameters = sender.getParameters();
      if (parameters.encodings.length === 0) continue;
      // A machine that changes the same sender at the same moment wins: this is a wish.
      await sender
        .setParameters({ ...parameters, degradationPreference: 'maintain-resolution' })
        .catch((error: unknown) => console.warn('setParameters', String(error)));
    }
  }

  async #readVideo(): Promise<void> {
    const video = this.#video;
    const stats = await inboundStats(video?.track);
    if (!video) return;
    if (!stats) return this.#countVideo(video);
    video.misses = 0;
    video.last = {
      framesDecoded: Math.max(video.last.framesDecoded, stats.framesDecoded ?? 0),
      width: stats.frameWidth ?? video.last.width,
      height: stats.frameHeight ?? video.last.height,
    };
  }

  /** No connection of ours delivers this track: after a while its pictures are counted one by one. */
  #countVideo(video: WatchedVideo): void {
    video.misses += 1;
    if (video.misses >= MISSES_BEFORE_COUNTING) video.counter ??= new FrameCounter(video.track);
    if (video.counter)
      video.last = { framesDecoded: video.counter.frames, width: video.counter.width, height: video.counter.height };
  }

  async #readSound(): Promise<void> {
    const sound = this.#sound;
    const stats = await inboundStats(sound?.track);
    if (!sound || !stats) return;
    sound.last = { audioSamples: stats.totalSamplesReceived ?? 0, concealedSamples: stats.concealedSamples ?? 0 };
  }
}

function waitedOf(seconds: number | undefined, pieces: number | undefined): Waited | undefined {
  return seconds === undefined || pieces === undefined ? undefined : { seconds, pieces };
}

/** Undefined when nothing came in between, or the counters began anew. */
function meanMs(before: Waited | undefined, now: Waited | undefined): number | undefined {
  const pieces = (now?.pieces ?? 0) - (before?.pieces ?? 0);
  const seconds = (now?.seconds ?? 0) - (before?.seconds ?? 0);
  return pieces > 0 && seconds >= 0 ? (seconds * 1_000) / pieces : undefined;
}

async function inboundStats(track: MediaStreamTrack | undefined): Promise<RTCInboundRtpStreamStats | undefined> {
  const receiver = track && receiverOf(track);
  if (!receiver) return undefined;
  for (const entry of (await receiver.getStats()).values()) {
    // getStats is typed as a map of unknowns; `type` says which dictionary the standard promises.
    if (entry.type === 'inbound-rtp') return entry as RTCInboundRtpStreamStats;
  }
  return undefined;
}
