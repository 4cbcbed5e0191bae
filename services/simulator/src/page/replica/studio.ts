import { Picture } from './picture.ts';

/** Draws at a steady rate into the video track, with the mouth as open as the voice is loud. Lives in the worker: its timers are never throttled. */
export class Studio {
  droppedFrames = 0;
  frozen = false;
  readonly #picture: Picture;
  readonly #writer: WritableStreamDefaultWriter<VideoFrame>;
  readonly #frameMs: number;
  readonly #startedAt = performance.now();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #mouth = 0;
  #frame = 0;
  #nextAt = performance.now();

  constructor(options: { width: number; height: number; fps: number; video: WritableStream<VideoFrame> }) {
    this.#picture = new Picture(options.width, options.height);
    this.#writer = options.video.getWriter();
    this.#frameMs = 1000 / options.fps;
    this.#tick();
  }

  /** RMS of the next 40 ms. Opens at once, closes over about 100 ms, as mouths do. */
  level(rms: number): void {
    this.#mouth = Math.max(Math.min(1, rms * 5), this.#mouth * 0.5);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    void this.#writer.close();
  }

  #tick(): void {
    const now = performance.now();
    if (!this.frozen) this.#draw(now);
    // From the plan, not from now: lateness must not add up. After a long stall the missed frames are left out.
    this.#nextAt = Math.max(this.#nextAt + this.#frameMs, now - this.#frameMs);
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, this.#nextAt - performance.now()));
  }

  #draw(now: number): void {
    if ((this.#writer.desiredSize ?? 0) <= 0) {
      this.droppedFrames += 1;
      return;
    }
    this.#frame = (this.#frame + 1) & 0xffff;
    const mouth = this.#mouth < 0.06 ? 0 : this.#mouth;
    void this.#writer.write(
      this.#picture.frame(Date.now(), this.#frame, mouth, Math.round((now - this.#startedAt) * 1000)),
    );
  }
}
