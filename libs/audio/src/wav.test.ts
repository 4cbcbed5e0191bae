import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { readWav, writeWav } from './wav.ts';

const wav = { rate: 24_000, channels: 2, samples: Int16Array.of(1, -2, 32_767, -32_768) };

it('reads what it wrote, at any alignment', () => {
  const file = new Uint8Array([0, ...writeWav(wav)]).subarray(1);
  expect(readWav(file)).toEqual(wav);
});

it('skips other chunks, padded to even length', () => {
  const file = writeWav(wav);
  const extra = [...new TextEncoder().encode('LIST'), 3, 0, 0, 0, 1, 2, 3, 0];
  expect(readWav(new Uint8Array([...file.subarray(0, 36), ...extra, ...file.subarray(36)]))).toEqual(wav);
});

it('takes the rest of the file when the data size says more', () => {
  const file = writeWav(wav);
  new DataView(file.buffer).setUint32(40, 0xffffffff, true);
  expect(readWav(file).samples).toEqual(wav.samples);
});

it.each([
  { what: 'something else', file: new Uint8Array(100), problem: 'Not a WAV' },
  { what: '8 bits', file: writeWav(wav).with(34, 8), problem: 'not 16-bit PCM' },
  { what: 'no data', file: writeWav(wav).subarray(0, 36), problem: 'no data chunk' },
])('refuses $what', ({ file, problem }) => {
  expect(() => readWav(file)).toThrow(problem);
});

it('never fails on garbage in any other way', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (tail) => {
      const file = new Uint8Array([...writeWav(wav).subarray(0, 12), ...tail]);
      const read = (): string => {
        try {
          return `${readWav(file).samples.length} samples`;
        } catch (error) {
          return error instanceof RangeError ? 'refused' : String(error);
        }
      };
      expect(read()).toMatch(/^(\d+ samples|refused)$/);
    }),
  );
});
