import { describe, expect, it } from 'vitest';
import { Lead } from './lead.ts';

const loud = new Float32Array(480).fill(0.1);
const quiet = new Float32Array(480);

describe('several tracks heard as one', () => {
  it('hears the only one there is, silent or not', () => {
    const lead = new Lead();
    expect([lead.hears(1, quiet, 48_000, 0), lead.hears(1, loud, 48_000, 10)]).toEqual([true, true]);
    expect(lead.doubledMs).toBe(0);
  });

  it('does not hear a silent one beside it, and follows the sound when it moves on', () => {
    const lead = new Lead();
    lead.hears(1, loud, 48_000, 0);
    expect(lead.hears(2, quiet, 48_000, 1)).toBe(false);
    for (let at = 10; at <= 150; at += 10) lead.hears(1, quiet, 48_000, at);
    expect(lead.hears(2, loud, 48_000, 151)).toBe(true);
    expect(lead.hears(1, quiet, 48_000, 152)).toBe(false);
    expect(lead.doubledMs).toBe(0);
  });

  it('counts what sounds twice', () => {
    const lead = new Lead();
    lead.hears(1, loud, 48_000, 0);
    expect(lead.hears(2, loud, 48_000, 5)).toBe(false);
    expect(lead.doubledMs).toBe(10);
  });

  it('goes on with a silent one when the leading one has ended, or brings nothing any more', () => {
    const lead = new Lead();
    lead.hears(1, loud, 48_000, 0);
    lead.ended(2);
    expect(lead.hears(2, quiet, 48_000, 5)).toBe(false);
    lead.ended(1);
    expect(lead.hears(2, quiet, 48_000, 10)).toBe(true);
    expect(lead.hears(3, quiet, 48_000, 20)).toBe(false);
    expect(lead.hears(3, quiet, 48_000, 111)).toBe(true);
  });
});
