import { SpeechDetector } from '@tavus-fleet/audio/speech-detector';
import { ArrivalClock } from '../arrival-clock.ts';
import { BlockClock } from '../block-clock.ts';
import { pcmBlockMs, speechHangoverMs, speechThreshold } from '../limits.ts';
import { PcmOut } from '../pcm-out.ts';

type Sinks = {
  readonly onSpeech: (speaking: boolean, at: number) => void;
  /** 20 ms each, and when it began, ms since 1970. */
  readonly onPcm?: (pcm: Int16Array<ArrayBuffer>, pts: number) => void;
  /** Every frame, to be read at once: its samples are overwritten with the next. */
  readonly onFrame?: (samples: Float32Array, sampleRate: number) => void;
};

/**
 * Hears one received track: 10 ms frames from the jitter buffer. Hands each on, says when speech starts and stops, keeps the
 * loudest sample, and, when asked, gives the sound as 24 kHz PCM. Costs about 0.4 µs per frame for the peak (measured).
 */
export class Listener {
  readonly #reader: ReadableStreamDefaultReader<AudioData>;
  readonly #sinks: Sinks;
  readonly #detector = new SpeechDetector({
    threshold: speechThreshold,
    stopAfterMs: speechHangoverMs,
    inputGoneMs: 1_000,
  });
  readonly #out = new PcmOut();
  /** The frames' own stamps say when the jitter buffer gave them, also when this thread was busy then. */
  readonly #given = new ArrivalClock();
  readonly #times = new BlockClock();
  #frame = new Float32Array(480);
  #peak = 0;

  constructor(readable: ReadableStream<AudioData>, sinks: Sinks) {
    this.#reader = readable.getReader();
    this.#sinks = sinks;
    void this.#run();
  }

  /** Loudest absolute sample since the last call, 0–1. */
  takePeak(): number {
    const peak = Math.min(1, this.#peak);
    this.#peak = 0;
    return peak;
  }

  /** Notices a track that stopped giving sound at all. */
  tick(): void {
    const now = wallClock();
    if (this.#detector.tick(now)) this.#sinks.onSpeech(false, now);
  }

  stop(): void {
    if (this.#detector.reset()) this.#sinks.onSpeech(false, wallClock());
    void this.#reader.cancel();
  }

  async #run(): Promise<void> {
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) return;
      this.#hear(value);
    }
  }

  #hear(data: AudioData): void {
    const count = data.numberOfFrames;
    if (this.#frame.length < count) this.#frame = new Float32Array(count);
    // Channel 0 is enough: a replica speaks in mono, and stereo copies it.
    data.copyTo(this.#frame, { planeIndex: 0, format: 'f32-planar' });
    const { sampleRate, timestamp } = data;
    data.close();
    const samples = this.#frame.subarray(0, count);
    this.#sinks.onFrame?.(samples, sampleRate);
    let peak = 0;
    for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
    this.#peak = Math.max(this.#peak, peak);
    const now = wallClock();
    const crossed = this.#detector.hear(peak * 32_767, now);
    if (crossed) this.#sinks.onSpeech(crossed === 'started', now);
    if (!this.#sinks.onPcm) return;
    const block = this.#out.push(samples, sampleRate);
    const givenAt = this.#given.at(timestamp / 1_000, now);
    if (block) this.#sinks.onPcm(block, this.#times.next(givenAt, pcmBlockMs));
  }
}

function wallClock(): number {
  return performance.timeOrigin + performance.now();
}
