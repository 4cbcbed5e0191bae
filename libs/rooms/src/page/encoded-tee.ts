import { keyFrameEveryMs } from '../limits.ts';
import type { PictureClock } from '../picture-clock.ts';
import type { Picture } from '../port.ts';
import { TemporalLayers } from '../temporal-layers.ts';

/** Between two requests while a key frame is needed: longer than one takes to come, shorter than a viewer's patience. */
const askAgainMs = 500;

type Options = {
  readonly clock: PictureClock;
  /** False: it was left out. */
  readonly onPicture: (picture: Picture) => boolean;
};
type Chosen = { readonly receiver: number; readonly layers: TemporalLayers | undefined };

/**
 * Looks at the encoded pictures of receivers on their way from the network to the decoder, and copies those of one. Every frame is
 * passed on, in order, whatever becomes of its copy: the picture in the user room depends on it.
 */
export class EncodedTee {
  readonly #clock: PictureClock;
  readonly #onPicture: (picture: Picture) => boolean;
  readonly #transformers = new Map<number, RTCRtpScriptTransformer>();
  #chosen: Chosen | undefined;
  #size = { width: 0, height: 0 };
  #needsKey = true;
  #keyAt = 0;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor({ clock, onPicture }: Options) {
    this.#clock = clock;
    this.#onPicture = onPicture;
  }

  /** A receiver's frames pass here from now on, until it ends. */
  add(receiver: number, transformer: RTCRtpScriptTransformer): void {
    this.#transformers.set(receiver, transformer);
    void this.#pass(receiver, transformer);
  }

  /** Copies that receiver's pictures, from its next key frame on; undefined: nobody's. */
  choose(receiver: number | undefined, maxFps?: number): void {
    if (receiver !== undefined && receiver === this.#chosen?.receiver) return;
    const layers = maxFps === undefined ? undefined : new TemporalLayers(maxFps);
    this.#chosen = receiver === undefined ? undefined : { receiver, layers };
    this.#needsKey = true;
    this.#size = { width: 0, height: 0 };
    this.requestKeyFrame();
  }

  requestKeyFrame(): void {
    const now = performance.now();
    const transformer = this.#chosen && this.#transformers.get(this.#chosen.receiver);
    if (!transformer || now - this.#askedAt < askAgainMs) return;
    this.#askedAt = now;
    void ask(transformer);
  }

  /** To be called every 100 ms or so: asks for a key frame where one is needed, or has not come for long. */
  tick(): void {
    if (this.#needsKey || performance.now() - this.#keyAt > keyFrameEveryMs) this.requestKeyFrame();
  }

  async #pass(receiver: number, { readable, writable }: RTCRtpScriptTransformer): Promise<void> {
    const reader = readable.getReader();
    const writer = writable.getWriter();
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        // Before the write: that takes the bytes away.
        if (receiver === this.#chosen?.receiver) this.#copy(next.value, this.#chosen.layers);
        await writer.write(next.value);
      }
    } catch (error) {
      console.warn('encoded tee', String(error)); // the receiver has ended
    }
    this.#transformers.delete(receiver);
  }

  #copy(frame: RTCEncodedVideoFrame, layers: TemporalLayers | undefined): void {
    const { mimeType, width, height, temporalIndex, rtpTimestamp, synchronizationSource, receiveTime } =
      frame.getMetadata();
    const format = formatOf(mimeType);
    const key = frame.type === 'key';
    // Only key frames say how large they are.
    if (key && width && height) this.#size = { width, height };
    if (key) this.#keyAt = performance.now();
    if (format === undefined || this.#size.width === 0 || (this.#needsKey && !key)) return;
    const now = performance.now();
    const receivedAt = performance.timeOrigin + Math.min(now, receiveTime ?? now);
    const pts = this.#clock.received(rtpTimestamp ?? frame.timestamp, receivedAt, synchronizationSource);
    if (layers && !layers.keeps(temporalIndex ?? 0, key, now)) return;
    this.#needsKey = !this.#onPicture({ format, key, ...this.#size, pts, data: new Uint8Array(frame.data) });
  }
}

async function ask(transformer: RTCRtpScriptTransformer): Promise<void> {
  try {
    await transformer.sendKeyFrameRequest();
  } catch (error) {
    console.debug('key frame', String(error)); // before the connection's answer is applied: asked again
  }
}

function formatOf(mimeType: string | undefined): Picture['format'] | undefined {
  const name = mimeType?.toLowerCase().replace(/^video\//, '');
  return name === 'vp8' || name === 'h264' || name === 'vp9' || name === 'av1' ? name : undefined;
}
