import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PicturePace } from './picture-pace.ts';

const PERIOD_MS = 1_000 / 30;

type Shown = { readonly picture: number; readonly at: number };

/** Pictures that come at these times, ms, numbered from 0; a consumer at `maxFps` asks as soon as it may. */
function show(arrivals: readonly number[], maxFps = 30): { shown: Shown[]; dropped: number } {
  const pace = new PicturePace<number>({ maxFps });
  const shown: Shown[] = [];
  const ask = (at: number): void => {
    const picture = pace.take(at);
    if (picture !== undefined) shown.push({ picture, at });
  };
  arrivals.forEach((at, picture) => {
    pace.add(picture);
    ask(at);
    const wait = pace.waitMs(at);
    const next = arrivals[picture + 1] ?? Infinity;
    if (wait !== undefined && at + wait < next) ask(at + wait);
  });
  return { shown, dropped: pace.dropped };
}
const times = (shown: readonly Shown[]): number[] => shown.map(({ at }) => Math.round(at));

describe('PicturePace', () => {
  it('lets a slower source through as it comes', () => {
    const arrivals = [0, 100, 200, 300];
    expect(show(arrivals)).toEqual({ shown: arrivals.map((at, picture) => ({ picture, at })), dropped: 0 });
  });

  it('holds a picture that comes early until its slot, and drops none for a little jitter', () => {
    const { shown, dropped } = show([0, 38, 62, 105, 128]);
    expect(times(shown)).toEqual([0, 38, 67, 105, 133]);
    expect(dropped).toBe(0);
  });

  it('thins a faster source out evenly: of 50 in a second every second and third in turn, at 20', () => {
    const { shown, dropped } = show(
      Array.from({ length: 50 }, (_, i) => i * 20),
      20,
    );
    expect(times(shown)).toEqual(Array.from({ length: 21 }, (_, slot) => slot * 50));
    expect(shown.slice(0, 6).map(({ picture }) => picture)).toEqual([0, 2, 5, 7, 10, 12]);
    expect(dropped).toBe(50 - 21);
  });

  it('keeps its grid over a short stall, and begins a new one after a long one', () => {
    expect(times(show([0, 4.5 * PERIOD_MS, 4.6 * PERIOD_MS]).shown)).toEqual([0, 150, 167]); // 5 periods after the first
    expect(times(show([0, 8.5 * PERIOD_MS, 8.6 * PERIOD_MS]).shown)).toEqual([0, 283, 317]); // one period after the second
  });

  it('begins anew when the clock was set back', () => {
    const pace = new PicturePace<string>({ maxFps: 30 });
    pace.add('a');
    expect(pace.take(10_000)).toBe('a');
    pace.add('b');
    expect(pace.take(9_990)).toBeUndefined();
    expect(pace.waitMs(9_990)).toBeCloseTo(10 + PERIOD_MS);
    expect(pace.take(1_000)).toBe('b');
  });

  it('has nothing to say when nothing waits, and refuses a rate that is none', () => {
    const pace = new PicturePace<string>({ maxFps: 30 });
    expect([pace.take(0), pace.waitMs(0)]).toEqual([undefined, undefined]);
    for (const maxFps of [0, -1, Number.NaN]) expect(() => new PicturePace({ maxFps })).toThrow(RangeError);
  });

  it('whatever comes when: in order, each shown or counted, none late by more than a period, the last one shown, no faster than asked', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 60 }),
        (gaps, maxFps) => {
          let at = 0;
          const arrivals = gaps.map((gap) => (at += gap));
          const { shown, dropped } = show(arrivals, maxFps);
          const pictures = shown.map(({ picture }) => picture);
          expect(pictures).toEqual([...new Set(pictures)].toSorted((a, b) => a - b));
          expect(pictures.length + dropped).toBe(arrivals.length);
          expect(pictures.at(-1)).toBe(arrivals.length - 1);
          const periodMs = 1_000 / maxFps;
          for (const { picture, at: shownAt } of shown)
            expect(shownAt - (arrivals[picture] ?? 0)).toBeLessThanOrEqual(periodMs + 0.01);
          // one picture for each slot: two may stand close together at a slot's end, three never
          for (const [i, { at: shownAt }] of shown.entries())
            expect((shown[i + 2]?.at ?? Infinity) - shownAt).toBeGreaterThanOrEqual(periodMs - 0.01);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
