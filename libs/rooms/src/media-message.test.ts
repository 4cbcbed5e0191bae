import { describe, expect, it } from 'vitest';
import { maxMediaBytes, readMedia, writeMedia, type MediaMessage } from './media-message.ts';

const pts = 1_800_000_000_123.25;
const pcm = new Uint8Array(Int16Array.of(1, -2, 32_767).buffer);
const picture = {
  format: 'h264',
  key: true,
  width: 1_280,
  height: 720,
  pts,
  data: Uint8Array.of(0, 0, 0, 1, 0x67),
} as const;

describe('a media message', () => {
  it.each<MediaMessage>([
    { kind: 'audio', pts, pcm },
    { kind: 'user-audio', pts, participantId: 'odd-long', pcm },
    { kind: 'user-audio', pts, participantId: 'even-length', pcm },
    { kind: 'user-audio', pts, participantId: 'ü', pcm },
    { kind: 'picture', picture },
    { kind: 'picture', picture: { ...picture, format: 'jpeg', key: false } },
    { kind: 'picture', picture: { ...picture, format: 'av1' } },
  ])('comes through, also out of the middle of a larger buffer: $kind', (message) => {
    const inside = Uint8Array.of(0, 0, 0, ...writeMedia(message)).subarray(3);
    expect(readMedia(inside)).toEqual(message);
  });

  const sound = writeMedia({ kind: 'audio', pts, pcm });
  const voice = writeMedia({ kind: 'user-audio', pts, participantId: 'abc', pcm });
  const image = writeMedia({ kind: 'picture', picture });
  const changed = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
    const copy = bytes.slice();
    copy[at] = value;
    return copy;
  };
  it.each([
    ['nothing', new Uint8Array(0)],
    ['a kind that is none', changed(sound, 0, 9)],
    ['a time without sound', sound.subarray(0, 10)],
    ['half a sample', sound.subarray(0, 11)],
    ['a time that is none', writeMedia({ kind: 'audio', pts: Number.NaN, pcm })],
    ['a time before all time', writeMedia({ kind: 'audio', pts: -1, pcm })],
    ['nobody’s sound', changed(voice, 1, 0)],
    ['an id that is longer than the message', changed(voice, 1, 255)],
    ['an id that is no text', changed(voice, 10, 0xff)],
    ['a format that is none', changed(image, 1, 20)],
    ['a picture without content', image.subarray(0, 14)],
    ['a picture without size', changed(changed(image, 10, 0), 11, 0)],
    ['what is far too long', new Uint8Array(maxMediaBytes + 1)],
  ])('is refused when it is %s', (_, bytes) => {
    expect(readMedia(bytes)).toBeUndefined();
  });
});
