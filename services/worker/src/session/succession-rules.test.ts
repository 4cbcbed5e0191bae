import { FleetError, type ErrorCode } from '@tavus-fleet/contracts';
import { describe, expect, test } from 'vitest';
import { onlyCleansUp, whatFollows, type Again, type Circumstances } from './succession.ts';

const again = (code: ErrorCode, tavus: Again['tavus']): Again => ({ after: new FleetError(code, 'x'), tavus });

describe('what follows when a session cannot go on', () => {
  const live: Circumstances = { wasLive: true, liveMs: 5_000, replacements: 0, again: undefined, inherited: false };
  const calm = { liveMs: 60_000 };
  test.each<[ErrorCode, Partial<Circumstances>, string]>([
    ['lease-lost', {}, 'abandon'],
    ['page-crashed', {}, 'rejoin'],
    ['page-silent', { wasLive: false }, 'rejoin'],
    ['browser-failed', {}, 'rejoin'],
    ['browser-failed', { wasLive: false }, 'start-failed'],
    ['room-ejected', {}, 'rejoin'],
    ['room-lost', { again: again('room-lost', 'rejoin') }, 'replace'],
    ['room-lost', { again: again('room-lost', 'rejoin'), ...calm }, 'rejoin'],
    ['room-lost', { again: again('room-lost', 'rejoin'), replacements: 1 }, 'tavus-ended'],
    ['room-lost', { again: again('room-lost', 'rejoin'), replacements: 1, wasLive: false }, 'start-failed'],
    ['replica-lost', {}, 'replace'],
    ['replica-lost', { replacements: 1, ...calm }, 'replica-lost'],
    ['replica-unheard', {}, 'rejoin'],
    ['replica-unheard', { again: again('page-crashed', 'rejoin') }, 'rejoin'],
    ['replica-unheard', { again: again('replica-unheard', 'rejoin') }, 'replace'],
    ['replica-unheard', { again: again('replica-unheard', 'replace'), replacements: 1 }, 'replica-lost'],
    ['room-join-failed', {}, 'replica-lost'],
    ['room-join-failed', { inherited: true }, 'replace'],
    ['room-join-failed', { wasLive: false }, 'start-failed'],
    ['replica-absent', { inherited: true }, 'replace'],
    ['tavus-over', {}, 'tavus-ended'],
    ['tavus-credits', {}, 'tavus-credits'],
    ['tavus-unavailable', {}, 'replica-lost'],
  ])('%s with %j: %s', (code, circumstances, what) => {
    const ending = whatFollows(new FleetError(code, 'x'), { ...live, ...circumstances });
    const said = ending.how === 'again' ? ending.again.tavus : ending.how === 'abandon' ? ending.how : ending.reason;
    expect(said).toBe(what);
  });
});

describe('what a new owner only finishes', () => {
  test('a first owner’s queue is nothing to clean up', () =>
    expect(onlyCleansUp({ state: 'queued' }, {})).toBeUndefined());

  test('an heir plays what was accepted before a stop, and obeys a cancel at once', () => {
    expect(onlyCleansUp({ state: 'live', desired: 'stop' }, { handedOver: true })).toBeUndefined();
    expect(onlyCleansUp({ state: 'live', desired: 'cancel' }, { handedOver: true })).toBe('canceled');
    expect(onlyCleansUp({ state: 'live', desired: 'stop' }, {})).toBe('stopped');
  });
});
