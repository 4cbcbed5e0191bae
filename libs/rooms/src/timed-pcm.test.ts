import { expect, it } from 'vitest';
import { readTimedPcm, timedPcm } from './timed-pcm.ts';

it('brings samples and their time through, also out of the middle of a larger buffer', () => {
  const bytes = timedPcm(Int16Array.of(1, -2, 32_767), 1_800_000_000_123.25);
  const inside = Buffer.concat([Buffer.alloc(3), bytes]).subarray(3);
  const read = readTimedPcm(inside);
  expect(read?.pts).toBe(1_800_000_000_123.25);
  expect([...new Int16Array(new Uint8Array(read?.pcm ?? []).buffer)]).toEqual([1, -2, 32_767]);
});

it.each([
  ['nothing', new Uint8Array(0)],
  ['a time without sound', new Uint8Array(8)],
  ['half a sample', new Uint8Array(11)],
  ['a time that is none', timedPcm(Int16Array.of(1), Number.NaN)],
  ['a time before all time', timedPcm(Int16Array.of(1), -1)],
])('refuses %s', (_, bytes) => {
  expect(readTimedPcm(bytes)).toBeUndefined();
});
