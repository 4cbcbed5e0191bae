import { encodeFrameClock, LUMA, MOUTH_FIELD, mouthRect, type Rect } from '@tavus-fleet/testkit/frame-clock';
import { paintFace } from './face.ts';

const BLINK_EVERY_MS = 4_200;
const BLINK_MS = 140;
const EYES: Rect = { x: 0.36, y: 0.4, width: 0.28, height: 0.12 };

/**
 * The avatar's picture as I420 samples. The face is painted once; a frame only changes the clock, the mouth and now and
 * then the eyes, so drawing costs next to nothing and the encoder finds most of the picture unchanged.
 */
export class Picture {
  readonly width: number;
  readonly height: number;
  readonly #open: Uint8Array<ArrayBuffer>;
  readonly #closed: Uint8Array<ArrayBuffer>;
  readonly #current: Uint8Array<ArrayBuffer>;
  #isBlinking = false;

  /** Sizes are rounded down to even numbers: chroma has half the resolution. */
  constructor(width: number, height: number) {
    this.width = width & ~1;
    this.height = height & ~1;
    this.#open = this.#paint(true);
    this.#closed = this.#paint(false);
    this.#current = this.#open.slice();
  }

  /** The frame for this time, frame number and mouth openness (0…1). */
  frame(timeMs: number, frame: number, mouth: number, timestampUs: number): VideoFrame {
    for (const cell of encodeFrameClock(timeMs, frame)) this.#fillLuma(cell, cell.isWhite ? LUMA.white : LUMA.black);
    this.#restore(MOUTH_FIELD, this.#open);
    this.#openMouth(mouthRect(mouth));
    const isBlinking = timeMs % BLINK_EVERY_MS < BLINK_MS;
    if (isBlinking !== this.#isBlinking) this.#restore(EYES, isBlinking ? this.#closed : this.#open);
    this.#isBlinking = isBlinking;
    return new VideoFrame(this.#current, {
      format: 'I420',
      codedWidth: this.width,
      codedHeight: this.height,
      timestamp: timestampUs,
      colorSpace: { matrix: 'smpte170m', primaries: 'smpte170m', transfer: 'smpte170m', fullRange: false },
    });
  }

  /** An ellipse, dark and reddish. */
  #openMouth(rect: Rect): void {
    const { left, right, top, bottom } = this.#pixels(rect);
    const radius = (bottom - top) / 2;
    if (radius < 1) return;
    const chroma = this.width >> 1;
    const planeU = this.width * this.height;
    const planeV = planeU + chroma * (this.height >> 1);
    for (let y = top; y < bottom; y += 1) {
      const slope = (y + 0.5 - top - radius) / radius;
      const half = ((right - left) / 2) * Math.sqrt(Math.max(0, 1 - slope * slope));
      const from = Math.round((left + right) / 2 - half);
      const to = Math.round((left + right) / 2 + half);
      this.#current.fill(LUMA.mouth, y * this.width + from, y * this.width + to);
      if (y % 2 === 1) continue;
      const row = (y >> 1) * chroma;
      this.#current.fill(120, planeU + row + (from >> 1), planeU + row + (to >> 1));
      this.#current.fill(158, planeV + row + (from >> 1), planeV + row + (to >> 1));
    }
  }

  #fillLuma(rect: Rect, luma: number): void {
    const { left, right, top, bottom } = this.#pixels(rect);
    for (let y = top; y < bottom; y += 1) this.#current.fill(luma, y * this.width + left, y * this.width + right);
  }

  /** Copies a field of one painting, all three planes. */
  #restore(rect: Rect, from: Uint8Array): void {
    const { left, right, top, bottom } = this.#pixels(rect);
    const chroma = this.width >> 1;
    const planeU = this.width * this.height;
    const copy = (start: number, end: number): void => this.#current.set(from.subarray(start, end), start);
    for (let y = top; y < bottom; y += 1) copy(y * this.width + left, y * this.width + right);
    for (let y = top >> 1; y < (bottom + 1) >> 1; y += 1)
      for (const plane of [planeU, planeU + chroma * (this.height >> 1)])
        copy(plane + y * chroma + (left >> 1), plane + y * chroma + ((right + 1) >> 1));
  }

  #pixels(rect: Rect): { left: number; right: number; top: number; bottom: number } {
    return {
      left: Math.round(rect.x * this.width),
      right: Math.round((rect.x + rect.width) * this.width),
      top: Math.round(rect.y * this.height),
      bottom: Math.round((rect.y + rect.height) * this.height),
    };
  }

  #paint(eyesOpen: boolean): Uint8Array<ArrayBuffer> {
    const canvas = new OffscreenCanvas(this.width, this.height);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    if (!context) throw new Error('no 2d canvas');
    paintFace(context, this.width, this.height, eyesOpen);
    const i420 = toI420(context.getImageData(0, 0, this.width, this.height));
    // Under the clock the colour stays grey.
    const strip = Math.ceil(this.height / 9 / 2) * (this.width >> 1);
    const planeU = this.width * this.height;
    i420.fill(128, planeU, planeU + strip);
    i420.fill(128, planeU + (planeU >> 2), planeU + (planeU >> 2) + strip);
    return i420;
  }
}

/** BT.601, video range. */
function toI420({ data, width, height }: ImageData): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(new ArrayBuffer((width * height * 3) / 2));
  const planeU = width * height;
  const planeV = planeU + planeU / 4;
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const at = (y * width + x) * 4;
      const [r = 0, g = 0, b = 0] = [data[at], data[at + 1], data[at + 2]];
      out[y * width + x] = 16 + 0.257 * r + 0.504 * g + 0.098 * b;
      if (x % 2 || y % 2) continue;
      const chroma = (y >> 1) * (width >> 1) + (x >> 1);
      out[planeU + chroma] = 128 - 0.148 * r - 0.291 * g + 0.439 * b;
      out[planeV + chroma] = 128 + 0.439 * r - 0.368 * g - 0.071 * b;
    }
  return out;
}
