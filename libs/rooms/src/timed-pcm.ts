/** Received sound on the media channel: when it began (ms since 1970, float64, little endian), then its s16le samples. */
const HEADER_BYTES = 8;

export function timedPcm(pcm: Int16Array, pts: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + pcm.byteLength);
  new DataView(bytes.buffer).setFloat64(0, pts, true);
  bytes.set(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength), HEADER_BYTES);
  return bytes;
}

/** Undefined when it is no such message: the page runs a vendor's code. */
export function readTimedPcm(bytes: Uint8Array): { readonly pcm: Uint8Array; readonly pts: number } | undefined {
  if (bytes.byteLength <= HEADER_BYTES || bytes.byteLength % 2 !== 0) return undefined;
  const pts = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
  return Number.isFinite(pts) && pts >= 0 ? { pcm: bytes.subarray(HEADER_BYTES), pts } : undefined;
}
