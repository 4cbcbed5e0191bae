import { expect, it } from 'vitest';
import { TemporalLayers } from './temporal-layers.ts';

/** Layers 0 2 1 2 of L1T3, at 24 fps. */
const layerAt = (frame: number): number => [0, 2, 1, 2][frame % 4] ?? 0;

/** Which layers came through in the second from `fromS`, per layer. */
function through(maxFps: number, fromS: number, keyEvery = 48): Record<number, number> {
  const layers = new TemporalLayers(maxFps);
  const counts: Record<number, number> = {};
  for (let frame = 0; frame < (fromS + 1) * 24; frame += 1) {
    const layer = layerAt(frame);
    const kept = layers.keeps(layer, frame % keyEvery === 0, (frame * 1_000) / 24);
    if (kept && frame >= fromS * 24) counts[layer] = (counts[layer] ?? 0) + 1;
  }
  return counts;
}

it.each([
  { maxFps: 24, kept: { 0: 6, 1: 6, 2: 12 } },
  { maxFps: 12, kept: { 0: 6, 1: 6 } },
  { maxFps: 11, kept: { 0: 6, 1: 6 } }, // within the tolerance
  { maxFps: 6, kept: { 0: 6 } },
  { maxFps: 1, kept: { 0: 6 } }, // nothing can be left out of the lowest layer
])('keeps of 24 fps in three layers at most $maxFps', ({ maxFps, kept }) => {
  expect(through(maxFps, 4)).toEqual(kept);
});

it('lets a source without layers through', () => {
  const layers = new TemporalLayers(5);
  for (let frame = 0; frame < 100; frame += 1) expect(layers.keeps(0, frame === 0, frame * 40)).toBe(true);
});

it('takes layers back only with a key frame', () => {
  const layers = new TemporalLayers(12);
  for (let frame = 0; frame < 72; frame += 1) layers.keeps(layerAt(frame), frame === 0, (frame * 1_000) / 24);
  // From now on half as many come: all would fit.
  const slow = (frame: number): boolean => layers.keeps(layerAt(frame), false, 3_000 + (frame * 1_000) / 12);
  const kept = Array.from({ length: 48 }, (_, frame) => slow(frame));
  expect(kept.filter((_, frame) => layerAt(frame) === 2)).toEqual(Array.from({ length: 24 }, () => false));
  expect(layers.keeps(0, true, 7_000)).toBe(true);
  expect(layers.keeps(2, false, 7_083)).toBe(true);
});
