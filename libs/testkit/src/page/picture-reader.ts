import { decodeFrameClock, type FrameReading, type LumaSampler } from '../frame-clock.ts';

/** A picture as an output stream holds it, its bytes as base64. */
export type StreamPicture = {
  readonly format: string;
  readonly width: number;
  readonly height: number;
  readonly pts: number;
  readonly key: boolean;
  readonly frame: string;
};
/** What was seen in it: the frame clock (null: none could be read), and its size as decoded. */
export type ReadPicture = {
  readonly pts: number;
  readonly reading: FrameReading | null;
  readonly width: number;
  readonly height: number;
};

// WebCodecs' names; H264 in Annex B (no description), as the stream holds it.
const CODECS: Readonly<Record<string, string>> = {
  vp8: 'vp8',
  h264: 'avc1.42e01f',
  vp9: 'vp09.00.10.08',
  av1: 'av01.0.04M.08',
};

/** Decodes pictures in order, as a consumer of the stream would, and reads the clock in each. Rejects when one cannot be decoded. */
export async function readPictures(pictures: readonly StreamPicture[]): Promise<ReadPicture[]> {
  const read: ReadPicture[] = [];
  const [first] = pictures;
  if (!first) return read;
  if (first.format === 'jpeg') {
    for (const { pts, frame } of pictures) {
      const bitmap = await createImageBitmap(new Blob([bytesOf(frame)], { type: 'image/jpeg' }));
      read.push({ pts, ...look(bitmap, bitmap.width, bitmap.height, pts) });
    }
    return read;
  }
  const failed = Promise.withResolvers<never>();
  const decoder = new VideoDecoder({
    output: (decoded) => {
      const pts = decoded.timestamp / 1_000;
      read.push({ pts, ...look(decoded, decoded.displayWidth, decoded.displayHeight, pts) });
      decoded.close();
    },
    error: (error) => failed.reject(error),
  });
  decoder.configure({ codec: CODECS[first.format] ?? first.format, optimizeForLatency: true });
  for (const { pts, key, frame } of pictures)
    decoder.decode(
      new EncodedVideoChunk({ type: key ? 'key' : 'delta', timestamp: Math.round(pts * 1_000), data: bytesOf(frame) }),
    );
  await Promise.race([decoder.flush(), failed.promise]);
  decoder.close();
  return read;
}

function look(
  image: CanvasImageSource,
  width: number,
  height: number,
  nearMs: number,
): Pick<ReadPicture, 'reading' | 'width' | 'height'> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('no 2d context');
  context.drawImage(image, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const luma: LumaSampler = (x, y) => {
    const at = (Math.min(height - 1, Math.floor(y * height)) * width + Math.min(width - 1, Math.floor(x * width))) * 4;
    return 0.299 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.114 * (data[at + 2] ?? 0);
  };
  return { reading: decodeFrameClock(luma, nearMs), width, height };
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
