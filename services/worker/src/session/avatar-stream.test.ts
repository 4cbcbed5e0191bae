import { FakeClock } from '@tavus-fleet/lifecycle';
import { expect, it } from 'vitest';
import { AvatarStream, type AvatarBlock } from './avatar-stream.ts';

const block = (pts: number): AvatarBlock => ({ rate: 24_000, channels: 1, audio: new Uint8Array(960), pts });

function setup() {
  const clock = new FakeClock();
  const dropped: number[] = [];
  const written: number[] = [];
  const gates: PromiseWithResolvers<void>[] = [];
  const stream = new AvatarStream(
    async (blocks) => {
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      await gate.promise;
      written.push(...blocks.map(({ pts }) => pts));
    },
    (count) => dropped.push(count),
    clock,
  );
  /** Lets the write that is under way succeed, or fail. */
  const answer = async (error?: Error): Promise<void> => {
    const gate = gates.at(-1);
    if (error) gate?.reject(error);
    else gate?.resolve();
    await clock.pass(0);
  };
  return { clock, stream, dropped, written, gates, answer };
}

it('writes in order, one write at a time, what came meanwhile together', async () => {
  const { stream, written, gates, answer } = setup();
  for (let pts = 0; pts < 8; pts += 1) stream.push(block(pts));
  expect(gates).toHaveLength(1);
  await answer();
  await answer();
  expect(gates).toHaveLength(2);
  expect(written).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

it('drops the oldest when Redis hangs, counts them, says so once a second, and never makes the live path wait', async () => {
  const { clock, stream, dropped, written, answer } = setup();
  for (let pts = 0; pts < 301; pts += 1) stream.push(block(pts));
  expect(dropped).toEqual([1]);
  await clock.pass(1_000);
  stream.push(block(301));
  expect(dropped).toEqual([1, 100]);
  for (let at = 0; at < 30; at += 1) await answer();
  expect(written).toEqual([0, ...Array.from({ length: 200 }, (_, at) => at + 102)]);
});

it('does not try again what Redis refused', async () => {
  const { stream, dropped, written, answer } = setup();
  stream.push(block(0));
  stream.push(block(1));
  await answer(new Error('down'));
  await answer();
  expect(dropped).toEqual([1]);
  expect(written).toEqual([1]);
});

it('says what was dropped at the end, and takes nothing afterwards', async () => {
  const { stream, dropped, gates } = setup();
  for (let pts = 0; pts < 210; pts += 1) stream.push(block(pts));
  stream.close();
  stream.push(block(999));
  stream.close();
  expect(dropped).toEqual([1, 8]);
  expect(gates).toHaveLength(1);
});
