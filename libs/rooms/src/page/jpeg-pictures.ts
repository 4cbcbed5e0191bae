import type { PictureClock } from '../picture-clock.ts';
import { PicturePace } from '../picture-pace.ts';
import type { Picture, PictureOptions } from '../port.ts';

/** Our choice: no blocks to be seen in a face; 12 kB at 640x360, 33 kB at 1280x720 (measured). */
const quality = 0.7;

type Waiting = { readonly frame: VideoFrame; readonly pts: number };
type Sinks = { readonly clock: PictureClock; readonly onPicture: (picture: Picture) => void };

/** A track's pictures as JPEG, a few a second. One is encoded at a time; meanwhile only the newest waits. */
export class JpegPictures {
  readonly #reader: ReadableStreamDefaultReader<VideoFrame>;
  readonly #sinks: Sinks;
  readonly #maxWidth: number | undefined;
  readonly #pace: PicturePace<Waiting>;
  // Read back for each picture anyway, so kept where the CPU can reach it: 10.3 against 12.4 ms per 720p picture (measured).
  readonly #canvas = new OffscreenCanvas(2, 2);
  readonly #context = this.#canvas.getContext('2d', { willReadFrequently: true });
  #encoding = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(
    readable: ReadableStream<VideoFrame>,
    { maxFps, width }: Extract<PictureOptions, { format: 'jpeg' }>,
    sinks: Sinks,
  ) {
    this.#reader = readable.getReader();
    this.#maxWidth = width;
    this.#pace = new PicturePace({ maxFps });
    this.#sinks = sinks;
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#pace.clear()?.frame.close();
    // A reader that is already closed has nothing to cancel.
    void this.#reader.cancel().catch((error: unknown) => console.warn('jpeg', String(error)));
  }

  async #run(): Promise<void> {
    for (let next = await this.#reader.read(); !next.done; next = await this.#reader.read()) {
      const frame = next.value;
      if (this.#stopped) {
        frame.close();
        continue;
      }
      const now = performance.timeOrigin + performance.now();
      const pts = this.#sinks.clock.decoded(rtpTimestampOf(frame), now);
      this.#pace.add({ frame, pts })?.frame.close();
      this.#next();
    }
  }

  #next(): void {
    if (this.#encoding || this.#stopped) return;
    clearTimeout(this.#timer);
    const now = performance.now();
    const due = this.#pace.take(now);
    if (due) return void this.#encode(due);
    const waitMs = this.#pace.waitMs(now);
    if (waitMs !== undefined) this.#timer = setTimeout(() => this.#next(), waitMs);
  }

  async #encode({ frame, pts }: Waiting): Promise<void> {
    this.#encoding = true;
    try {
      const { width, height } = this.#draw(frame);
      const blob = await this.#canvas.convertToBlob({ type: 'image/jpeg', quality });
      const data = new Uint8Array(await blob.arrayBuffer());
      if (!this.#stopped) this.#sinks.onPicture({ format: 'jpeg', key: true, width, height, pts, data });
    } catch (error) {
      console.warn('jpeg', String(error)); // this picture is lost; the next may be better
    }
    this.#encoding = false;
    this.#next();
  }

  #draw(frame: VideoFrame): { width: number; height: number } {
    const { displayWidth, displayHeight } = frame;
    const width = Math.min(this.#maxWidth ?? displayWidth, displayWidth);
    const height = Math.max(1, Math.round((displayHeight * width) / displayWidth));
    // Setting it clears the canvas, so only when it changes.
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    this.#context?.drawImage(frame, 0, 0, width, height);
    frame.close();
    return { width, height };
  }
}

/** Chromium's only way to say which received picture this is; not in TypeScript's library. */
function rtpTimestampOf(frame: VideoFrame & { metadata?: () => { rtpTimestamp?: number } }): number | undefined {
  return frame.metadata?.().rtpTimestamp;
}
