import { describe, expect, it } from 'vitest';
import { PcmRing } from './pcm-ring.ts';

const sound = (count: number, value = 16_384): Int16Array => new Int16Array(count).fill(value);
const quantum = new Float32Array(128);

/** Reads so many quanta; answers how many samples of sound each held. */
const read = (ring: PcmRing, quanta: number): number[] => Array.from({ length: quanta }, () => ring.readInto(quantum));

describe('PcmRing', () => {
  it('starts at once when the reserve is there', () => {
    const ring = new PcmRing(4_096, 256);
    ring.write(sound(512));
    expect(read(ring, 5)).toEqual([128, 128, 128, 128, 0]);
    expect(ring.consumed).toBe(512);
  });

  it('holds a short start back, but no longer than the reserve would have lasted', () => {
    const ring = new PcmRing(4_096, 256);
    ring.write(sound(100));
    expect(read(ring, 4)).toEqual([0, 0, 100, 0]);
  });

  it('waits for the reserve again only after it ran empty', () => {
    const ring = new PcmRing(4_096, 256);
    ring.write(sound(300));
    expect(read(ring, 1)).toEqual([128]);
    ring.write(sound(10));
    expect(read(ring, 3)).toEqual([128, 54, 0]);
    ring.write(sound(10));
    expect(read(ring, 1)).toEqual([0]);
  });

  it('gives the samples in order over its end, and silence for what is missing', () => {
    const ring = new PcmRing(200, 0);
    ring.write(sound(150, 1));
    read(ring, 2);
    ring.write(Int16Array.from({ length: 128 }, (_, index) => index * 100));
    ring.readInto(quantum);
    expect(Array.from(quantum)).toEqual(Array.from({ length: 128 }, (_, index) => Math.fround((index * 100) / 32_768)));
    ring.write(sound(2, -32_768));
    ring.readInto(quantum);
    expect(Array.from(quantum.subarray(0, 4))).toEqual([-1, -1, 0, 0]);
  });

  it('refuses and counts what does not fit', () => {
    const ring = new PcmRing(100, 0);
    ring.write(sound(130));
    expect(ring).toMatchObject({ waiting: 100, refused: 30 });
  });

  it('drops at a flush what waits and keeps what it counted; a reset counts from 0', () => {
    const ring = new PcmRing(4_096, 0);
    ring.write(sound(500));
    read(ring, 1);
    expect(ring.flush()).toBe(128);
    expect(read(ring, 1)).toEqual([0]);
    ring.write(sound(128));
    read(ring, 1);
    expect(ring.consumed).toBe(256);
    ring.reset();
    expect(ring).toMatchObject({ consumed: 0, waiting: 0 });
  });
});
