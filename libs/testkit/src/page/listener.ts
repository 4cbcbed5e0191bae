import Daily, { type DailyCall, type DailyParticipant } from '@daily-co/daily-js';
import { decodeFrameClock, CLOCK_STRIP, type LumaSampler } from '../frame-clock.ts';
import { Lead } from '../lead.ts';
import { readPictures, type ReadPicture, type StreamPicture } from './picture-reader.ts';
import { movingPicture, Speaker } from './speaker.ts';

/**
 * A user in the user room who writes down what is seen and heard: every received audio block with its arrival time, every
 * picture with its frame clock and mouth. Plain daily-js, none of the product's code: it judges the product from outside.
 */

declare class MediaStreamTrackProcessor<T> {
  constructor(options: { track: MediaStreamTrack; maxBufferSize?: number });
  readonly readable: ReadableStream<T>;
}

type Seen = { atMs: number; clockMs: number; frame: number; mouth: number; width: number; height: number };
type Heard = { startMs: number; samples: number };

const nowMs = (): number => performance.timeOrigin + performance.now();
const WIDTH = 320;
const HEIGHT = 180;
// One minute and a half at 24 kHz: a listener is for checks, not for hours.
const MAX_SAMPLES = 24_000 * 150;

class Listener {
  readonly #pcm = new Int16Array(MAX_SAMPLES);
  readonly #blocks: Heard[] = [];
  readonly #seen: Seen[] = [];
  readonly #elements: HTMLAudioElement[] = [];
  readonly #lead = new Lead();
  #samples = 0;
  #unreadable = 0;
  #call: DailyCall | undefined;
  #speaker: Speaker | undefined;

  /** Answers the participant's id. `gives`: also has a voice (`say`) and a picture. */
  async join(options: { url: string; userName: string; bundle: string; gives?: boolean }): Promise<string> {
    if (options.gives) this.#speaker = new Speaker();
    const call = Daily.createCallObject({
      allowMultipleCallInstances: true,
      videoSource: this.#speaker ? movingPicture() : false,
      audioSource: this.#speaker?.track ?? false,
      dailyConfig: { avoidEval: true, bundlePathOverride: options.bundle },
    });
    this.#call = call;
    const watched = new Set<string>();
    const look = (participant: DailyParticipant | undefined): void => {
      if (!participant || participant.local) return;
      for (const kind of ['audio', 'video'] as const) {
        const track = participant.tracks[kind].persistentTrack;
        if (participant.tracks[kind].state !== 'playable' || !track || watched.has(track.id)) continue;
        watched.add(track.id);
        void (kind === 'audio' ? this.#listen(track) : this.#watch(track));
      }
    };
    call.on('participant-updated', (event) => look(event.participant));
    call.on('participant-joined', (event) => look(event.participant));
    call.on('track-started', (event) => look(event.participant ?? undefined));
    await call.join({ url: options.url, userName: options.userName });
    for (const participant of Object.values(call.participants())) look(participant);
    return call.participants().local.session_id;
  }

  /** See Speaker. */
  say(base64: string): number {
    if (!this.#speaker) throw new Error('This user has no voice.');
    return this.#speaker.say(base64);
  }

  /** What was kept so far goes: a listener of many rounds keeps one of them. */
  forget(): void {
    this.#samples = 0;
    this.#blocks.length = 0;
    this.#seen.length = 0;
    this.#unreadable = 0;
    this.#lead.doubledMs = 0;
  }

  counts(): { pictures: number; unreadable: number; samples: number; participants: number } {
    return {
      pictures: this.#seen.length,
      unreadable: this.#unreadable,
      samples: this.#samples,
      participants: this.#call?.participantCounts().present ?? 0,
    };
  }

  report(): {
    pcm: string;
    blocks: Heard[];
    seen: Seen[];
    unreadable: number;
    doubledMs: number;
    resources: string[];
  } {
    const bytes = new Uint8Array(this.#pcm.buffer, 0, this.#samples * 2);
    let binary = '';
    for (let at = 0; at < bytes.length; at += 32_768) binary += String.fromCharCode(...bytes.subarray(at, at + 32_768));
    return {
      pcm: btoa(binary),
      blocks: this.#blocks,
      seen: this.#seen,
      unreadable: this.#unreadable,
      doubledMs: this.#lead.doubledMs,
      resources: performance.getEntriesByType('resource').map((entry) => entry.name),
    };
  }

  /** Of an output stream instead of a room. */
  read(pictures: readonly StreamPicture[]): Promise<ReadPicture[]> {
    return readPictures(pictures);
  }

  async leave(): Promise<void> {
    await this.#call?.leave();
    for (const element of this.#elements) element.pause();
  }

  async #listen(track: MediaStreamTrack): Promise<void> {
    // A remote audio track delivers nothing until an element plays it.
    const element = new Audio();
    element.muted = true;
    element.srcObject = new MediaStream([track]);
    const number = this.#elements.push(element);
    await element.play();
    // Two seconds: while this thread is busy with pictures nothing of the sound may be lost, or the listener would blame the product.
    const reader = new MediaStreamTrackProcessor<AudioData>({ track, maxBufferSize: 200 }).readable.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) this.#hear(number, next.value);
    this.#lead.ended(number);
  }

  #hear(track: number, data: AudioData): void {
    const { sampleRate } = data;
    const every = Math.max(1, Math.round(sampleRate / 24_000));
    const block = new Float32Array(data.numberOfFrames);
    data.copyTo(block, { planeIndex: 0, format: 'f32-planar' });
    data.close();
    if (!this.#lead.hears(track, block, sampleRate, nowMs())) return;
    const count = Math.floor(block.length / every);
    if (this.#samples + count > MAX_SAMPLES) return;
    for (let at = 0; at < count; at += 1) {
      let sum = 0;
      for (let of = 0; of < every; of += 1) sum += block[at * every + of] ?? 0;
      this.#pcm[this.#samples + at] = Math.max(-32_768, Math.min(32_767, Math.round((sum / every) * 32_768)));
    }
    this.#blocks.push({ startMs: nowMs() - (count * 1000) / 24_000, samples: count });
    this.#samples += count;
  }

  async #watch(track: MediaStreamTrack): Promise<void> {
    const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    if (!context) throw new Error('no 2d context');
    const reader = new MediaStreamTrackProcessor<VideoFrame>({ track }).readable.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const frame = next.value;
      const size = { width: frame.codedWidth, height: frame.codedHeight };
      context.drawImage(frame, 0, 0, WIDTH, HEIGHT);
      frame.close();
      this.#look(context, size);
    }
  }

  #look(context: OffscreenCanvasRenderingContext2D, size: { width: number; height: number }): void {
    const strip = context.getImageData(0, 0, WIDTH, Math.ceil(HEIGHT * CLOCK_STRIP.height));
    const face = context.getImageData(0, Math.floor(HEIGHT * 0.55), WIDTH, Math.ceil(HEIGHT * 0.35));
    const luma: LumaSampler = (x, y) => {
      const inStrip = y < CLOCK_STRIP.height;
      const image = inStrip ? strip : face;
      const row = Math.min(image.height - 1, Math.floor(y * HEIGHT) - (inStrip ? 0 : Math.floor(HEIGHT * 0.55)));
      const at = (row * WIDTH + Math.min(WIDTH - 1, Math.floor(x * WIDTH))) * 4;
      return 0.299 * (image.data[at] ?? 0) + 0.587 * (image.data[at + 1] ?? 0) + 0.114 * (image.data[at + 2] ?? 0);
    };
    const reading = decodeFrameClock(luma, nowMs());
    if (reading)
      this.#seen.push({ atMs: nowMs(), clockMs: reading.timeMs, frame: reading.frame, mouth: reading.mouth, ...size });
    else this.#unreadable += 1;
  }
}

// The driver in Node calls these by name; they are the whole interface of the page.
Object.assign(globalThis, { listener: new Listener() });
