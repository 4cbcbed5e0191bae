import { describe, expect, it } from 'vitest';
import { Mixer } from './mixer.ts';

const some = (value: number, count = 240): Float32Array => new Float32Array(count).fill(value);

describe('Mixer', () => {
  it('gives what the leading source has, in order', () => {
    const mixer = new Mixer();
    mixer.choose(['a']);
    mixer.push('a', some(0.1, 100));
    mixer.push('a', some(0.2, 200));
    expect(mixer.ready).toBe(300);
    const taken = mixer.take(240);
    expect([taken[99], taken[100], taken[239]].map((one) => one?.toFixed(1))).toEqual(['0.1', '0.2', '0.2']);
    expect(mixer.ready).toBe(60);
  });

  it('adds the others, with silence where they have nothing yet', () => {
    const mixer = new Mixer();
    mixer.choose(['a', 'b']);
    mixer.push('a', some(0.25));
    mixer.push('b', some(0.5, 120));
    const taken = mixer.take(240);
    expect([taken[0], taken[119], taken[120], taken[239]]).toEqual([0.75, 0.75, 0.25, 0.25]);
  });

  it('does not hear what is not chosen, nor what was chosen before', () => {
    const mixer = new Mixer();
    mixer.choose(['a', 'b']);
    mixer.push('a', some(0.5));
    mixer.push('b', some(0.25));
    mixer.choose(['b']);
    mixer.push('a', some(0.5));
    expect(mixer.take(240)[0]).toBe(0.25);
  });

  it('is led by the first that brings something: a ghost that gives nothing holds nobody up', () => {
    const mixer = new Mixer();
    mixer.choose(['ghost', 'b']);
    mixer.push('b', some(0.5));
    expect(mixer.ready).toBe(240);
  });

  it('keeps at most 200 ms of a source that nobody takes from: the newest', () => {
    const mixer = new Mixer();
    mixer.choose(['a']);
    mixer.push('a', some(0.1, 4_800));
    mixer.push('a', some(0.5, 240));
    expect(mixer.ready).toBe(4_800);
    expect(mixer.take(4_800).at(-1)).toBe(0.5);
  });

  it('is silent when there is no source', () => {
    expect(Math.max(...new Mixer().take(240))).toBe(0);
  });
});
