import { expect, it } from 'vitest';
import { decodeFrameClock, encodeFrameClock, LUMA, mouthRect, type LumaSampler } from './frame-clock.ts';

const NOW = Date.UTC(2026, 10, 22, 12, 34, 56, 789);

/** A picture of skin with the clock and the mouth painted in. */
function picture(timeMs: number, frame: number, openness: number): LumaSampler {
  const cells = encodeFrameClock(timeMs, frame);
  const mouth = mouthRect(openness);
  const inside = (x: number, y: number, r: { x: number; y: number; width: number; height: number }): boolean =>
    x >= r.x && x < r.x + r.width && y >= r.y && y < r.y + r.height;
  return (x, y) => {
    const cell = cells.find((each) => inside(x, y, each));
    if (cell) return cell.isWhite ? LUMA.white : LUMA.black;
    return inside(x, y, mouth) ? LUMA.mouth : 180;
  };
}

it.each([
  { frame: 0, openness: 0 },
  { frame: 65_535, openness: 1 },
  { frame: 4_711, openness: 0.4 },
])('reads back what was drawn: $frame, $openness', ({ frame, openness }) => {
  const reading = decodeFrameClock(picture(NOW, frame, openness), NOW + 1_234);
  expect(reading).toMatchObject({ timeMs: NOW, frame });
  expect(reading?.mouth).toBeCloseTo(openness, 1);
});

it('finds the time again on either side of the 32-bit turn', () => {
  const turn = Math.ceil(NOW / 2 ** 32) * 2 ** 32;
  expect(decodeFrameClock(picture(turn - 5, 1, 0), turn + 5)?.timeMs).toBe(turn - 5);
  expect(decodeFrameClock(picture(turn + 5, 1, 0), turn - 5)?.timeMs).toBe(turn + 5);
});

it('survives noise, and reads nothing from a picture without a clock or with a wrong cell', () => {
  const clean = picture(NOW, 7, 0.5);
  expect(decodeFrameClock((x, y) => clean(x, y) + 60 * Math.sin(x * 991 + y * 577), NOW)?.frame).toBe(7);
  expect(decodeFrameClock(() => 128, NOW)).toBeNull();
  expect(decodeFrameClock((x, y) => (x < 1 / 32 && y < 1 / 18 ? 251 - clean(x, y) : clean(x, y)), NOW)).toBeNull();
});
