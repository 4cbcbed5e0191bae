import type { Picture } from './port.ts';

/**
 * What the page sends as bytes. Little endian: kind (u8), a byte of the kind's own, the presentation time (f64, ms since 1970),
 * then by kind
 *
 *     audio        its samples (s16le); the own byte is 0
 *     user-audio   the participant's id in UTF-8, filled up to an even length, then samples; own byte: the id's length
 *     picture      width and height (u16 each), then the encoded picture; own byte: format × 2, plus 1 for a key frame
 */
export type MediaMessage =
  | { readonly kind: 'audio'; readonly pts: number; readonly pcm: Uint8Array }
  | { readonly kind: 'user-audio'; readonly pts: number; readonly participantId: string; readonly pcm: Uint8Array }
  | { readonly kind: 'picture'; readonly picture: Picture };

const KINDS = ['audio', 'user-audio', 'picture'] as const;
const FORMATS = ['jpeg', 'vp8', 'h264', 'vp9', 'av1'] as const satisfies readonly Picture['format'][];
const HEADER_BYTES = 10;
const PICTURE_HEADER_BYTES = HEADER_BYTES + 4;
/** 2 m of samples are far more than a message holds; a picture above it is not worth its place either. */
export const maxMediaBytes = 1024 * 1024;

export function writeMedia(message: MediaMessage): Uint8Array<ArrayBuffer> {
  switch (message.kind) {
    case 'audio':
      return written(message.kind, 0, message.pts, [message.pcm]);
    case 'user-audio': {
      const id = new TextEncoder().encode(message.participantId);
      return written(message.kind, id.length, message.pts, [id, new Uint8Array(id.length % 2), message.pcm]);
    }
    case 'picture': {
      const { format, key, width, height, pts, data } = message.picture;
      const size = new Uint8Array(4);
      new DataView(size.buffer).setUint16(0, width, true);
      new DataView(size.buffer).setUint16(2, height, true);
      return written(message.kind, FORMATS.indexOf(format) * 2 + (key ? 1 : 0), pts, [size, data]);
    }
    default:
      return message satisfies never;
  }
}

/** Undefined when it is no such message: the page runs a vendor's code. The bytes are views on `bytes`. */
export function readMedia(bytes: Uint8Array): MediaMessage | undefined {
  if (bytes.byteLength <= HEADER_BYTES || bytes.byteLength > maxMediaBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const own = view.getUint8(1);
  const pts = view.getFloat64(2, true);
  if (!Number.isFinite(pts) || pts < 0) return undefined;
  switch (KINDS[view.getUint8(0)]) {
    case 'audio':
      return withSamples(bytes, HEADER_BYTES, (pcm) => ({ kind: 'audio', pts, pcm }));
    case 'user-audio': {
      const participantId = idIn(bytes.subarray(HEADER_BYTES, HEADER_BYTES + own));
      const start = HEADER_BYTES + own + (own % 2);
      if (participantId === undefined) return undefined;
      return withSamples(bytes, start, (pcm) => ({ kind: 'user-audio', pts, participantId, pcm }));
    }
    case 'picture': {
      const format = FORMATS[own >> 1];
      if (format === undefined || bytes.byteLength <= PICTURE_HEADER_BYTES) return undefined;
      const [width, height] = [view.getUint16(HEADER_BYTES, true), view.getUint16(HEADER_BYTES + 2, true)];
      if (width === 0 || height === 0) return undefined;
      const data = bytes.subarray(PICTURE_HEADER_BYTES);
      return { kind: 'picture', picture: { format, key: own % 2 === 1, width, height, pts, data } };
    }
    default:
      return undefined;
  }
}

function written(
  kind: MediaMessage['kind'],
  own: number,
  pts: number,
  parts: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + parts.reduce((sum, part) => sum + part.byteLength, 0));
  bytes[0] = KINDS.indexOf(kind);
  bytes[1] = own;
  new DataView(bytes.buffer).setFloat64(2, pts, true);
  let at = HEADER_BYTES;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

function withSamples(
  bytes: Uint8Array,
  start: number,
  make: (pcm: Uint8Array) => MediaMessage,
): MediaMessage | undefined {
  const length = bytes.byteLength - start;
  return length > 0 && length % 2 === 0 ? make(bytes.subarray(start)) : undefined;
}

function idIn(bytes: Uint8Array): string | undefined {
  try {
    return bytes.byteLength === 0 ? undefined : new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined; // not UTF-8
  }
}
