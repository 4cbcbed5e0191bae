import { describe, expect, it } from 'vitest';
import { Pace } from './pace.ts';

describe('Pace', () => {
  it('gives one step per 10 ms, late ones too, none twice', () => {
    const pace = new Pace(10, 1_000);
    expect(pace.due(1_005)).toBe(0);
    expect(pace.due(1_010)).toBe(1);
    expect(pace.due(1_019)).toBe(0);
    expect(pace.due(1_057)).toBe(4);
    expect(pace.due(1_060)).toBe(1);
  });

  it('leaves out what a stall of more than half a second missed', () => {
    const pace = new Pace(10, 0);
    expect(pace.due(5_000)).toBe(50);
    expect(pace.due(5_005)).toBe(0);
    expect(pace.due(5_010)).toBe(1);
  });

  it('is silent while a source leads, and makes up for the wait when it has stopped', () => {
    const pace = new Pace(10, 0);
    expect(pace.due(100)).toBe(10);
    expect(pace.led(105, 1)).toBe(0);
    expect(pace.led(115, 1)).toBe(0);
    expect(pace.due(514)).toBe(0);
    expect(pace.due(515)).toBe(40);
    expect(pace.due(525)).toBe(1);
  });

  it('leaves out queued steps whose time was filled, and none that come in their own time', () => {
    const pace = new Pace(10, 0);
    pace.led(10, 1);
    expect(pace.due(430)).toBe(42);
    expect(pace.led(431, 1)).toBe(0);
    expect(pace.led(431, 30)).toBe(30);
    expect(pace.led(432, 20)).toBe(12);
    expect(pace.led(433, 1)).toBe(0);
    expect(pace.due(840)).toBe(40);
    expect(pace.led(850, 1)).toBe(0);
    expect(pace.led(860, 1)).toBe(0);
  });

  it('waits for nobody when the source was taken away, and leaves out nothing of the next one', () => {
    const pace = new Pace(10, 0);
    pace.led(100, 1);
    pace.change(false);
    expect(pace.due(110)).toBe(1);
    expect(pace.due(180)).toBe(7);
    pace.change(true);
    expect(pace.led(181, 1)).toBe(0);
    expect(pace.led(182, 1)).toBe(0);
    expect(pace.due(300)).toBe(0);
  });
});
