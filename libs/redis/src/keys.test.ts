import { expect, it } from 'vitest';
import { createKeys } from './keys.ts';

const keys = createKeys('fleet');

it('names the keys of a conversation as producers in any language write them', () => {
  expect(keys.conversation('abc')).toEqual({
    record: 'fleet:{abc}:record',
    secrets: 'fleet:{abc}:secrets',
    frames: 'fleet:{abc}:frames',
    producers: 'fleet:{abc}:producers',
    events: 'fleet:{abc}:events',
    audio: 'fleet:{abc}:audio',
    video: 'fleet:{abc}:video',
    userAudio: 'fleet:{abc}:user-audio',
    lease: 'fleet:{abc}:lease',
  });
});

it('keeps the fleet apart from a conversation that is called fleet', () => {
  const own = Object.values(keys.conversation('fleet'));
  const fleet = [
    keys.fleet.ledger,
    keys.fleet.workers,
    keys.fleet.leases,
    keys.fleet.index('record'),
    keys.fleet.idempotency('a', 'b'),
  ];
  expect(fleet.every((name) => name.startsWith('fleet:{fleet}:'))).toBe(true);
  expect(own.filter((name) => fleet.includes(name))).toEqual([]);
  expect(keys.bell('w1')).toBe('fleet:{w:w1}:bell');
});

it('bounds what an Idempotency-Key can do to a key name', () => {
  expect(keys.fleet.idempotency('a', `} ${'x'.repeat(10_000)}`).length).toBeLessThan(120);
});
