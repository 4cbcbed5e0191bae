import { FakeClock } from '@tavus-fleet/lifecycle';
import { describe, expect, it } from 'vitest';
import { OutputStream } from './output-stream.ts';

type Entry = { readonly pts: number; readonly bytes: number; readonly key: boolean };
const entry = (pts: number, key = true, bytes = 960): Entry => ({ pts, bytes, key });

function setup() {
  const clock = new FakeClock();
  const dropped: number[] = [];
  const written: number[] = [];
  const batches: number[] = [];
  const gates: PromiseWithResolvers<boolean>[] = [];
  let gaps = 0;
  const stream = new OutputStream<Entry>({
    append: async (entries) => {
      const gate = Promise.withResolvers<boolean>();
      gates.push(gate);
      batches.push(entries.length);
      if (await gate.promise) written.push(...entries.map(({ pts }) => pts));
      return gate.promise;
    },
    bytesOf: ({ bytes }) => bytes,
    needsEarlier: ({ key }) => !key,
    onDropped: (count) => dropped.push(count),
    onGap: () => (gaps += 1),
    clock,
  });
  /** Lets the write that is under way succeed, or fail. */
  const answer = async (with_: boolean | Error = true): Promise<void> => {
    const gate = gates.at(-1);
    if (with_ instanceof Error) gate?.reject(with_);
    else gate?.resolve(with_);
    await clock.pass(0);
  };
  return { clock, stream, dropped, written, batches, gates, answer, gaps: () => gaps };
}

describe('OutputStream', () => {
  it('writes in order, one write at a time, what came meanwhile together', async () => {
    const { stream, written, gates, answer } = setup();
    for (let at = 0; at < 8; at += 1) stream.push(entry(at * 20));
    expect(gates).toHaveLength(1);
    await answer();
    await answer();
    expect(gates).toHaveLength(2);
    expect(written).toEqual([0, 20, 40, 60, 80, 100, 120, 140]);
  });

  it('keeps what goes out together small', async () => {
    const { stream, batches, answer } = setup();
    for (let at = 0; at < 13; at += 1) stream.push(entry(at, true, at < 3 ? 600_000 : 10));
    for (let at = 0; at < 6; at += 1) await answer();
    expect(batches).toEqual([1, 1, 10, 1]);
  });

  it('drops the oldest when Redis hangs, counts them, says so once a second, and never makes the live path wait', async () => {
    const { clock, stream, dropped, written, answer } = setup();
    for (let at = 0; at <= 301; at += 1) stream.push(entry(at * 20)); // the first goes out at once
    expect(dropped).toEqual([1]);
    await clock.pass(1_000);
    stream.push(entry(302 * 20));
    expect(dropped).toEqual([1, 100]);
    for (let at = 0; at < 30; at += 1) await answer();
    expect(written).toEqual([0, ...Array.from({ length: 201 }, (_, at) => (at + 102) * 20)]);
  });

  it('holds a few megabytes at most', async () => {
    const { stream, written, answer } = setup();
    for (let at = 0; at < 12; at += 1) stream.push(entry(at, true, 1_000_000));
    for (let at = 0; at < 12; at += 1) await answer();
    expect(written).toEqual([0, 8, 9, 10, 11]);
  });

  it('does not try again what Redis refused', async () => {
    const { stream, dropped, written, answer } = setup();
    stream.push(entry(0));
    stream.push(entry(20));
    await answer(new Error('down'));
    await answer();
    expect(dropped).toEqual([1]);
    expect(written).toEqual([20]);
  });

  it('lets go with an entry what depends on it, up to one that does not, and asks for that one', async () => {
    const { stream, dropped, written, answer, gaps, clock } = setup();
    stream.push(entry(0));
    for (let at = 1; at < 4; at += 1) stream.push(entry(at * 20, false));
    await answer(new Error('down'));
    expect(dropped).toEqual([4]);
    expect(gaps()).toBe(1);
    stream.push(entry(80, false));
    expect(gaps()).toBe(2);
    stream.push(entry(100));
    stream.push(entry(120, false));
    await answer();
    await answer();
    expect(written).toEqual([100, 120]);
    expect(gaps()).toBe(2);
    await clock.pass(1_000);
    stream.close();
    expect(dropped).toEqual([4, 1]);
  });

  it('goes on at the next key frame that waits already', async () => {
    const { stream, written, answer, gaps } = setup();
    for (let at = 0; at < 500; at += 1) stream.push(entry(at * 20, at % 100 === 0));
    for (let at = 0; at < 60; at += 1) await answer();
    expect(written[0]).toBe(0);
    expect(written[1]).toBe(300 * 20);
    expect(written.at(-1)).toBe(499 * 20);
    expect(gaps()).toBe(0);
  });

  it('writes nothing behind a gap that another owner may have filled, and does not tell of what is his', async () => {
    const { stream, written, answer, dropped } = setup();
    stream.push(entry(0));
    stream.push(entry(20, false));
    await answer(false);
    stream.push(entry(40));
    await answer();
    expect(written).toEqual([40]);
    stream.close();
    expect(dropped).toEqual([]);
  });

  it('says what was dropped at the end, here and before it came here, and takes nothing afterwards', async () => {
    const { stream, dropped, gates } = setup();
    for (let at = 0; at <= 210; at += 1) stream.push(entry(at * 20));
    stream.missed(5);
    stream.close();
    stream.push(entry(9_999));
    stream.close();
    stream.missed(1);
    expect(dropped).toEqual([1, 13]);
    expect(gates).toHaveLength(1);
  });
});
