import { expect, it } from 'vitest';
import { mergeSettings } from './settings.ts';

it.each([
  { when: 'nothing is given', current: { model: 'a' }, delta: {}, settings: { model: 'a' }, changed: {} },
  { when: 'a first value', current: {}, delta: { model: 'a' }, settings: { model: 'a' }, changed: { model: null } },
  {
    when: 'another value',
    current: { model: 'a' },
    delta: { model: 'b' },
    settings: { model: 'b' },
    changed: { model: 'a' },
  },
  {
    when: 'set to null',
    current: { model: 'a' },
    delta: { model: null },
    settings: { model: null },
    changed: { model: 'a' },
  },
  {
    when: 'the same value',
    current: { model: 'a', extra: { x: 1 } },
    delta: { model: 'a', extra: { x: 1 } },
    settings: { model: 'a', extra: { x: 1 } },
    changed: {},
  },
  {
    when: 'one extra key',
    current: { extra: { x: 1, y: 2 } },
    delta: { extra: { x: 5 } },
    settings: { extra: { x: 5, y: 2 } },
    changed: { 'extra.x': 1 },
  },
])('$when', ({ current, delta, settings, changed }) => {
  expect(mergeSettings(current, delta)).toEqual({ settings, changed });
});

it('an extra key that every object seems to have was never set', () => {
  expect(mergeSettings({ extra: { x: 1 } }, { extra: { constructor: 'y' } })).toEqual({
    settings: { extra: { x: 1, constructor: 'y' } },
    changed: { 'extra.constructor': null },
  });
});
