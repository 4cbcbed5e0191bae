import { bytesOf, samplesOf } from './pcm.ts';

/** PCM with its format; `samples` are interleaved. */
export type Wav = { readonly rate: number; readonly channels: number; readonly samples: Int16Array };

const HEADER_BYTES = 44;
const PCM = 1;
const EXTENSIBLE = 0xfffe;

/** A WAV file of 16-bit PCM. */
export function writeWav(wav: Wav): Uint8Array {
  const data = bytesOf(wav.samples);
  const file = new Uint8Array(HEADER_BYTES + data.byteLength);
  const view = new DataView(file.buffer);
  ascii(file, 0, 'RIFF');
  view.setUint32(4, file.byteLength - 8, true);
  ascii(file, 8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, PCM, true);
  view.setUint16(22, wav.channels, true);
  view.setUint32(24, wav.rate, true);
  view.setUint32(28, wav.rate * wav.channels * 2, true);
  view.setUint16(32, wav.channels * 2, true);
  view.setUint16(34, 16, true);
  ascii(file, 36, 'data');
  view.setUint32(40, data.byteLength, true);
  file.set(data, HEADER_BYTES);
  return file;
}

/**
 * Reads a WAV file of 16-bit PCM; chunks that are not `fmt ` or `data` are skipped. A `data` size that is larger than the file
 * (a recorder that was cut off, or a stream) means "until the end". Throws RangeError naming what is wrong.
 */
export function readWav(file: Uint8Array): Wav {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.byteLength < 12 || text(file, 0) !== 'RIFF' || text(file, 8) !== 'WAVE')
    throw new RangeError('Not a WAV file.');
  let format: { rate: number; channels: number } | undefined;
  for (let at = 12; at + 8 <= file.byteLength;) {
    const name = text(file, at);
    const start = at + 8;
    const size = Math.min(view.getUint32(at + 4, true), file.byteLength - start);
    if (name === 'fmt ') format = readFormat(view, start, size);
    if (name === 'data') {
      if (!format) throw new RangeError('The WAV file has no fmt chunk before its data.');
      const whole = size - (size % (2 * format.channels));
      return { ...format, samples: samplesOf(file.slice(start, start + whole)) };
    }
    at = start + size + (size % 2); // chunks start at even offsets
  }
  throw new RangeError('The WAV file has no data chunk.');
}

function readFormat(view: DataView, start: number, size: number): { rate: number; channels: number } {
  if (size < 16) throw new RangeError('The WAV file has a fmt chunk that is too short.');
  const coding = view.getUint16(start, true);
  const channels = view.getUint16(start + 2, true);
  const bits = view.getUint16(start + 14, true);
  if ((coding !== PCM && coding !== EXTENSIBLE) || bits !== 16)
    throw new RangeError(`The WAV file is not 16-bit PCM (coding ${coding}, ${bits} bits).`);
  if (channels < 1) throw new RangeError('The WAV file has no channels.');
  return { rate: view.getUint32(start + 4, true), channels };
}

function ascii(file: Uint8Array, at: number, word: string): void {
  for (let i = 0; i < word.length; i += 1) file[at + i] = word.charCodeAt(i);
}

function text(file: Uint8Array, at: number): string {
  return String.fromCharCode(...file.subarray(at, at + 4));
}
