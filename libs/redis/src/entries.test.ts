import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareIds, readEntries } from './entries.ts';

it('orders ids by their numbers, not as text', () => {
  const id = fc.tuple(fc.nat(2 ** 31), fc.nat(2 ** 31));
  fc.assert(
    fc.property(id, id, ([aMs, aSeq], [bMs, bSeq]) => {
      expect(Math.sign(compareIds(`${aMs}-${aSeq}`, `${bMs}-${bSeq}`))).toBe(Math.sign(aMs - bMs || aSeq - bSeq));
    }),
  );
  expect(compareIds('0', '0-0')).toBe(0);
  expect(compareIds('5-18446744073709551615', '5-18446744073709551614')).toBeGreaterThan(0);
});

it('keeps bytes as they are and names as text', () => {
  const audio = Buffer.from([0, 255, 128]);
  const [entry] = readEntries([
    [Buffer.from('1-2'), [Buffer.from('type'), Buffer.from('tts-audio'), Buffer.from('größe'), audio]],
  ]);
  expect(entry?.id).toBe('1-2');
  expect(entry?.fields.get('größe')).toBe(audio);
});
