/** Microseconds of the machine's monotonic clock: the same in every process of one host, and no step of NTP moves it. */
export function nowUs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}

/**
 * The time of sending travels in the first eight bytes of the PCM: it passes through every stage unchanged (24 kHz mono is not
 * resampled) and costs neither side anything to carry.
 */
export function stamp(audio: Buffer): void {
  audio.writeDoubleLE(nowUs(), 0);
}

/** 0 of an entry that does not count. */
export function stampOf(pcm: Uint8Array): number {
  return new DataView(pcm.buffer, pcm.byteOffset, 8).getFloat64(0, true);
}
