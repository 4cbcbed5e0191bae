import { expect, it } from 'vitest';
import { PcmOut } from './pcm-out.ts';

it('makes 20 ms blocks at 24 kHz of 10 ms frames at 48 kHz', () => {
  const out = new PcmOut();
  const frame = new Float32Array(480).fill(0.5);
  expect(out.push(frame, 48_000)).toBeUndefined();
  const block = out.push(frame, 48_000);
  expect(block?.length).toBe(480);
  expect(new Set(block)).toEqual(new Set([16_384]));
});

it('clips instead of wrapping round', () => {
  const block = new PcmOut().push(new Float32Array(480).fill(1.5), 24_000);
  expect(new Set(block)).toEqual(new Set([32_767]));
});

it('gives nothing for a rate it cannot divide', () => {
  expect(new PcmOut().push(new Float32Array(882), 44_100)).toBeUndefined();
});
