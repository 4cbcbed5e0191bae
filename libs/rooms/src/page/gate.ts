import { silenceAfterMs, speechThreshold } from '../limits.ts';

const rampMs = 10; // opening and closing without a click
/** Longer than a busy machine keeps frames waiting; they are queued for half a second. */
const starvedAfterMs = 400;
const fillMs = 20;
/** Frames closer together than this come from a queue, not from the jitter buffer's clock. */
const queuedFrameMs = 5;
const maxQueuedFrames = 50;
/**
 * Silence for so long is the end of what was being said, when it is known that nothing new is. Longer than most pauses
 * between words, and than frames are usually late (our choice); shorter than a successor's track takes to be heard (some 400 ms), or its
 * words would keep us open.
 */
const quietMs = 220;

/**
 * What the user room hears passes here, or does not: 10 ms frames as the jitter buffer gave them, written on at its pace. No
 * audio context in between: its clock is another one, and a queue between two clocks now and then drops or repeats a piece.
 *
 * Closed or fenced it passes silence, not nothing: a receiver whose packets stop stretches what it has, and is late when they come back.
 */
export class Gate {
  readonly #writer: WritableStreamDefaultWriter<AudioData>;
  #open = true;
  #gain = 1;
  #lastBeatAt = performance.now();
  #lastPassedAt = performance.now();
  #writtenUs = 0;
  #filling: ReturnType<typeof setInterval> | undefined;
  #filledMs = 0;
  #closed = false;
  #hush: { readonly until: number; readonly done: () => void } | undefined;
  #lastSoundAt = 0;
  /** Sound that found the connection's queue full (it holds half a second) and was left out. */
  droppedBytes = 0;

  constructor(writable: WritableStream<AudioData>, open: boolean) {
    this.#writer = writable.getWriter();
    this.#open = open;
    this.#gain = open ? 1 : 0;
  }

  set open(on: boolean) {
    this.#open = on;
  }

  /** Our process was heard of. */
  beat(): void {
    this.#lastBeatAt = performance.now();
  }

  /** Closes when what is heard has been quiet for a moment, after `maxMs` at the latest, and calls back when it is closed. */
  closeWhenQuiet(maxMs: number, done: () => void): void {
    const now = performance.now();
    this.#lastSoundAt = now; // what sounded a moment ago may be a pause in speech
    this.#hush = { until: now + maxMs, done };
  }

  /** One mono frame, samples −1…1. It is read before this returns. */
  pass(samples: Float32Array, sampleRate: number): void {
    const now = performance.now();
    const sinceMs = now - this.#lastPassedAt;
    this.#lastPassedAt = now;
    if (this.#hush && samples.some((sample) => Math.abs(sample) * 32_767 > speechThreshold)) this.#lastSoundAt = now;
    this.#hushIfDue(now);
    clearInterval(this.#filling);
    this.#filling = undefined;
    // In its own time: nothing is queued any more. The first after a standstill may have a queue behind it.
    if (sinceMs >= queuedFrameMs && sinceMs < starvedAfterMs) this.#filledMs = 0;
    if (this.#filledMs > 0 && sinceMs < queuedFrameMs) {
      // Silence went out in this frame's time already. Sent as well it would make the user hear everything after it that much later.
      this.#filledMs -= (samples.length * 1_000) / sampleRate;
      return;
    }
    this.#write(this.#attenuated(samples, sampleRate), sampleRate);
  }

  /** To be called every 100 ms or so: notices that nothing comes any more, and sends silence in its place. */
  tick(): void {
    this.#hushIfDue(performance.now());
    if (this.#closed || this.#filling !== undefined || performance.now() - this.#lastPassedAt < starvedAfterMs) return;
    this.#filling = setInterval(() => {
      this.#filledMs += fillMs;
      this.#write(new Float32Array(48 * fillMs), 48_000);
    }, fillMs);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#filling);
    this.#hush?.done();
    this.#hush = undefined;
    // The connection may have closed the stream already: then there is nothing left to end.
    void this.#writer.close().catch((error: unknown) => console.warn('gate', String(error)));
  }

  #hushIfDue(now: number): void {
    if (!this.#hush || (now - this.#lastSoundAt < quietMs && now < this.#hush.until)) return;
    const { done } = this.#hush;
    this.#hush = undefined;
    this.#open = false;
    done();
  }

  #attenuated(samples: Float32Array, sampleRate: number): Float32Array<ArrayBuffer> {
    const target = this.#open && performance.now() - this.#lastBeatAt <= silenceAfterMs ? 1 : 0;
    const passed = new Float32Array(samples);
    if (target === 1 && this.#gain === 1) return passed;
    const step = 1_000 / (rampMs * sampleRate);
    for (let index = 0; index < passed.length; index += 1) {
      this.#gain = target > this.#gain ? Math.min(1, this.#gain + step) : Math.max(target, this.#gain - step);
      passed[index] = (passed[index] ?? 0) * this.#gain;
    }
    return passed;
  }

  #write(samples: Float32Array<ArrayBuffer>, sampleRate: number): void {
    if (this.#closed) return;
    if ((this.#writer.desiredSize ?? 0) < -maxQueuedFrames) {
      this.droppedBytes += samples.byteLength;
      return;
    }
    const data = new AudioData({
      format: 'f32-planar',
      sampleRate,
      numberOfFrames: samples.length,
      numberOfChannels: 1,
      timestamp: this.#writtenUs,
      data: samples,
    });
    this.#writtenUs += (samples.length * 1_000_000) / sampleRate;
    // A write fails only when the stream was closed under us, which close() then says.
    this.#writer.write(data).catch(() => this.close());
  }
}
