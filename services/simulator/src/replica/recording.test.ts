import { expect, it } from 'vitest';
import { Recording, RECORDING_RATE } from './recording.ts';

it('is a WAV of 24 kHz s16le mono, with silence where nothing was heard', () => {
  const recording = new Recording();
  recording.addSilence(2);
  recording.add(Buffer.from([1, 0, 2, 0]));
  const wav = recording.wav();
  expect(wav.toString('latin1', 0, 4) + wav.toString('latin1', 8, 16)).toBe('RIFFWAVEfmt ');
  expect([wav.readUInt16LE(20), wav.readUInt16LE(22), wav.readUInt32LE(24), wav.readUInt16LE(34)]).toEqual([
    1,
    1,
    RECORDING_RATE,
    16,
  ]);
  expect([wav.readUInt32LE(4), wav.readUInt32LE(40)]).toEqual([wav.length - 8, 8]);
  expect([...wav.subarray(44)]).toEqual([0, 0, 0, 0, 1, 0, 2, 0]);
});

it('keeps the newest seconds only', () => {
  const recording = new Recording(1);
  for (let i = 0; i < 15; i += 1) recording.add(Buffer.alloc(RECORDING_RATE / 5, i));
  const samples = recording.wav().subarray(44);
  expect(samples.length).toBe(2 * RECORDING_RATE);
  expect([samples[0], samples.at(-1)]).toEqual([5, 14]);
});
