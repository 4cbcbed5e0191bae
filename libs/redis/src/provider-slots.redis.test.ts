import { redisFixture } from '@tavus-fleet/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { createKeys } from './keys.ts';
import { Ledger, type LedgerIntent } from './ledger.ts';
import { ProviderSlots } from './provider-slots.ts';

const fixture = redisFixture({ allow: /:ledger$/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const ledger = new Ledger(redis, keys);
const slots = (most: number) => new ProviderSlots(redis, keys, most);
const intent = (n: number, attempt = 1): LedgerIntent => ({
  conversationId: `c${n}`,
  epoch: 1,
  attempt,
  workerId: 'w1',
  name: `n${n}.${attempt}`,
});

beforeEach(async () => {
  await redis.del(keys.fleet.ledger, keys.fleet.slots, keys.fleet.provider);
});

/** Lets a time in the hash `provider` be over, instead of waiting for it. */
const over = (): Promise<unknown> => redis.hset(keys.fleet.provider, 'until', '1');

describe('slots', () => {
  it('of many that reserve and intend at once never more than the limit have one, 50 rounds', async () => {
    const rivals = Array.from({ length: 8 }, () => {
      const client = fixture.connect();
      return { slots: new ProviderSlots(client, keys, 25), ledger: new Ledger(client, keys) };
    });
    const pick = (n: number) => rivals[n % rivals.length] ?? { slots: slots(25), ledger };
    for (let round = 0; round < 50; round += 1) {
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, async (_, n) => {
          const own = pick(n);
          if (n % 2 === 0) return own.ledger.intend(intent(n), 25);
          const reserved = await own.slots.reserve('w1', `c${n}`);
          if (reserved !== 'ok') return reserved;
          // A third gives up on the way.
          if (n % 3 === 0) return own.slots.release('w1', `c${n}`).then(() => 'released' as const);
          return own.ledger.intend(intent(n), 25);
        }),
      );
      const { open, reserved } = await slots(25).state();
      expect(open).toBe(outcomes.filter((each) => each === 'ok').length);
      expect(open).toBeLessThanOrEqual(25);
      expect(reserved).toBe(0);
      expect(await slots(25).room()).toBe(open === 25 ? 'full' : 'free');
      for (const row of await ledger.open()) await ledger.closed(row.name);
    }
  });

  it('a reservation is its holder’s alone, becomes a row, and runs out by itself', async () => {
    const two = slots(2);
    expect(await two.reserve('w1', 'c1')).toBe('ok');
    expect(await two.reserve('w1', 'c1')).toBe('ok');
    expect(await two.reserve('w2', 'c1')).toBe('ok');
    expect(await two.reserve('w2', 'c2')).toBe('full');
    await two.release('w2', 'c1'); // the other worker’s stays
    expect(await two.state()).toEqual({ open: 0, reserved: 1 });
    expect(await ledger.intend(intent(9), 2)).toBe('ok');
    expect(await ledger.intend(intent(8), 2)).toBe('full');
    expect(await ledger.intend(intent(1), 2)).toBe('ok'); // full, but for whoever reserved
    expect(await two.state()).toEqual({ open: 2, reserved: 0 });
    await ledger.closed('n9.1');
    expect(await two.reserve('w3', 'c3')).toBe('ok');
    await redis.zadd(keys.fleet.slots, 1, 'w3:c3'); // its time is over
    expect(await two.room()).toBe('free');
    expect(await two.state()).toEqual({ open: 1, reserved: 0 });
  });
});

describe('what Tavus refuses the whole fleet', () => {
  it('holds everybody back, then lets one find out, and is over with the first that is made', async () => {
    const many = slots(100);
    expect(await many.refused('capacity')).toBe(2_000);
    expect(await many.refused('capacity')).toBeLessThanOrEqual(2_000); // the same moment
    expect(await many.room()).toBe('capacity');
    expect(await many.reserve('w1', 'c1')).toBe('capacity');
    expect(await ledger.intend(intent(2), 100)).toBe('full');
    await over();
    expect(await many.room()).toBe('free');
    const tries = await Promise.all(Array.from({ length: 10 }, (_, n) => many.reserve('w1', `c${n}`)));
    expect(tries.filter((each) => each === 'ok')).toHaveLength(1);
    expect(await many.refused('capacity')).toBe(4_000);
    await over();
    expect(await ledger.intend(intent(50), 100)).toBe('ok');
    expect(await ledger.intend(intent(51), 100)).toBe('full');
    await many.accepted();
    expect(await ledger.intend(intent(51), 100)).toBe('ok');
    expect((await many.state()).refusal).toBeUndefined();
    expect(await many.refused('capacity')).toBe(2_000);
  });

  it('waits at most 30 s for a place, 30 s for a key or an account', async () => {
    const many = slots(100);
    let longest = 0;
    for (let n = 0; n < 20; n += 1) {
      longest = await many.refused('capacity');
      await over();
    }
    expect(longest).toBe(30_000);
    await many.accepted();
    expect(await many.refused('auth')).toBe(30_000);
    expect(await many.room()).toBe('auth');
    expect((await many.state()).refusal).toMatchObject({ why: 'auth' });
    expect((await many.state()).refusal?.forMs).toBeGreaterThan(28_000);
  });

  it('whoever was to find out and gives up lets the next one', async () => {
    const many = slots(100);
    await many.refused('credits');
    await over();
    expect(await many.reserve('w1', 'c1')).toBe('ok');
    expect(await many.reserve('w1', 'c2')).toBe('credits');
    await many.release('w1', 'c1');
    expect(await many.reserve('w1', 'c2')).toBe('ok');
  });
});
