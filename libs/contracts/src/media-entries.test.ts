import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  audioFields,
  parseAudioEntry,
  parseUserAudioEntry,
  parseVideoEntry,
  videoFields,
  type VideoEntry,
  type VideoFormat,
} from './media-entries.ts';

const bytes = (value: string | Uint8Array | undefined): Uint8Array =>
  typeof value === 'string' ? new TextEncoder().encode(value) : (value ?? new Uint8Array());

function entry(fields: readonly (string | Uint8Array)[], change: Record<string, string | undefined> = {}) {
  const map = new Map<string, Uint8Array>();
  for (let at = 0; at < fields.length; at += 2) map.set(String(fields[at]), bytes(fields[at + 1]));
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined) map.delete(name);
    else map.set(name, bytes(value));
  }
  return map;
}

const binary = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((array) => new Uint8Array(array));
const pts = fc.integer({ min: 0, max: 40_000_000_000_000 }).map((tenths) => tenths / 10);
const sound = {
  rate: fc.integer({ min: 8_000, max: 48_000 }),
  channels: fc.integer({ min: 1, max: 2 }),
  audio: binary,
  pts,
};
const video: fc.Arbitrary<VideoEntry> = fc.record({
  format: fc.constantFrom<VideoFormat>('jpeg', 'vp8', 'h264', 'vp9', 'av1'),
  width: fc.integer({ min: 1, max: 16_384 }),
  height: fc.integer({ min: 1, max: 16_384 }),
  pts,
  key: fc.boolean(),
  frame: binary,
});

it('reads back what it writes', () => {
  fc.assert(
    fc.property(fc.record(sound), (given) => {
      expect(parseAudioEntry(entry(audioFields(given)))).toEqual({ entry: given });
    }),
  );
  fc.assert(
    fc.property(fc.record({ ...sound, participant: fc.string({ minLength: 1, maxLength: 128 }) }), (given) => {
      expect(parseUserAudioEntry(entry(audioFields(given)))).toEqual({ entry: given });
    }),
  );
  fc.assert(
    fc.property(video, (given) => {
      expect(parseVideoEntry(entry(videoFields(given)))).toEqual({ entry: given });
    }),
  );
});

const soundFields = audioFields({ rate: 24_000, channels: 1, audio: new Uint8Array(2), pts: 1, participant: 'p' });
const pictureFields = videoFields({ format: 'vp8', width: 1, height: 1, pts: 1, key: true, frame: new Uint8Array(1) });

it.each([
  ['rate', '7999'],
  ['rate', '24e3'],
  ['channels', '3'],
  ['audio', ''],
  ['pts', undefined],
  ['pts', '-1'],
  ['participant', ''],
  ['participant', undefined],
])('names the field of user audio that is wrong: %s %s', (field, value) => {
  expect(parseUserAudioEntry(entry(soundFields, { [field]: value }))).toMatchObject({ malformed: { field } });
});

it.each([
  ['format', 'VP8'],
  ['width', '0'],
  ['height', '1.5'],
  ['key', 'true'],
  ['key', undefined],
  ['frame', undefined],
  ['pts', 'NaN'],
])('names the field of a picture that is wrong: %s %s', (field, value) => {
  expect(parseVideoEntry(entry(pictureFields, { [field]: value }))).toMatchObject({ malformed: { field } });
});

it('takes fields that it does not know', () => {
  expect(parseVideoEntry(entry(pictureFields, { extra: '1' }))).toHaveProperty('entry');
});
