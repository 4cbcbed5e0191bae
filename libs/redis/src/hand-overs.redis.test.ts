import { StartRequest, type Ownership } from '@tavus-fleet/contracts';
import { redisFixture } from '@tavus-fleet/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { handOverSteps, type HandOverStep } from './hand-over-steps.ts';
import { HandOvers, type Claim, type Offer } from './hand-overs.ts';
import { createKeys } from './keys.ts';
import { Leases, newNonce } from './leases.ts';
import { Records } from './records.ts';

const fixture = redisFixture({ allow: /:(record|secrets|frames|events)$/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const records = new Records(redis, keys);
const leases = new Leases({ commands: redis, lease: redis, keys });
const handOvers = new HandOvers(redis, keys);
/** Every step stands for so short that the next look finds it void. */
const hasty = new HandOvers(redis, keys, () => 15);

let count = 0;
let id = '';
let owner: Ownership;
beforeEach(async () => {
  id = `h${++count}`;
  await records.create({ request: StartRequest.parse({ replicaId: 'r' }), createdBy: 'k', conversationId: id });
  const acquired = await leases.acquire(id, 'w1');
  if (!('ownership' in acquired)) throw new Error(acquired.refused);
  owner = acquired.ownership;
  await records.move(owner, 'starting');
  await records.move(owner, 'live');
});

const offerOf = (): Offer => ({ owner, token: newNonce() });
async function claimed(from = handOvers): Promise<{ offer: Offer; claim: Claim }> {
  const offer = offerOf();
  expect(await handOvers.offer(offer)).toBe('offered');
  const claim = await from.claim(id, 'w2', newNonce());
  if (!claim) throw new Error('The offer was not there.');
  return { offer, claim };
}
async function ready(): Promise<{ offer: Offer; claim: Claim }> {
  const both = await claimed();
  expect(await handOvers.heirSteps(both.claim, 'ready')).toBe('taken');
  return both;
}

it('goes from the offer to the new owner with no moment between', async () => {
  const { offer, claim } = await ready();
  expect(claim).toMatchObject({ ownerEpoch: 1, ownership: { epoch: 2 } });
  expect(await handOvers.give(offer, { position: '5-0', inferenceId: 'i1' })).toBe('given');
  expect(await records.get(id)).toMatchObject({ owner: 'w2', epoch: 2, position: '5-0', inferenceId: 'i1' });
  expect(await handOvers.look(id, offer.token)).toBe('given');
  expect(await records.patch(owner, { position: '6-0' })).toBe('fenced');
  expect((await leases.renewAll([claim.ownership])).get(id)).toEqual({ status: 'held' });
  expect(await leases.acquire(id, 'w3')).toEqual({ refused: 'held' });
  expect(await handOvers.silent(offer)).toBe('taken');
  expect(await handOvers.look(id, offer.token)).toBe('silent');
  expect(await handOvers.heirSteps(claim, 'shown')).toBe('taken');
  expect(await handOvers.silent(offer)).toBe('refused');
  expect(await handOvers.look(id, offer.token)).toBe('shown');
});

describe('offers', () => {
  it('one of a hundred workers becomes the heir, and never the owner', async () => {
    await handOvers.offer(offerOf());
    expect(await handOvers.open(1_000)).toContain(id);
    expect(await handOvers.claim(id, 'w1', newNonce())).toBeUndefined();
    const offer = offerOf();
    await handOvers.offer(offer);
    const claims = await Promise.all(Array.from({ length: 100 }, (_, n) => handOvers.claim(id, `h${n}`, newNonce())));
    expect(claims.filter((claim) => claim !== undefined)).toHaveLength(1);
    expect(await handOvers.open(1_000)).not.toContain(id);
    expect(await handOvers.look(id, offer.token)).toBe('claimed');
  });

  it('leave the index when they have run out', async () => {
    await hasty.offer(offerOf());
    await expect.poll(() => handOvers.open(1_000), { interval: 5 }).not.toContain(id);
    expect(await redis.zscore(keys.fleet.offers, id)).toBeNull();
    expect(await handOvers.claim(id, 'w2', newNonce())).toBeUndefined();
  });

  it('of a stale owner are void', async () => {
    const offer = offerOf();
    await handOvers.offer(offer);
    await leases.release(owner);
    await leases.acquire(id, 'w3');
    expect(await handOvers.claim(id, 'w2', newNonce())).toBeUndefined();
    expect(await handOvers.offer(offer)).toBe('fenced');
    expect(await handOvers.look(id, offer.token)).toBe('void');
  });

  it.each(['stop', 'cancel'] as const)('are not made for what was asked to %s', async (verb) => {
    const { offer, claim } = await ready();
    await records.desire(id, verb);
    expect(await handOvers.look(id, offer.token)).toBe('void');
    expect(await handOvers.give(offer, {})).toBe('refused');
    expect(await handOvers.heirSteps(claim, 'shown')).toBe('refused');
    expect(await handOvers.offer(offerOf())).toBe('busy');
    expect(await records.get(id)).toMatchObject({ owner: 'w1', epoch: 1 });
  });

  it('made anew void what came of the earlier one', async () => {
    const { offer, claim } = await ready();
    const second = offerOf();
    await handOvers.offer(second);
    expect(await handOvers.look(id, offer.token)).toBe('void');
    expect(await handOvers.heirSteps(claim, 'ready')).toBe('refused');
    expect(await handOvers.give(second, {})).toBe('refused');
    expect(await handOvers.give(offer, {})).toBe('refused');
  });
});

describe('giving', () => {
  it('asked again after a lost answer gives once', async () => {
    const { offer, claim } = await ready();
    expect(await handOvers.give(offer, { position: '5-0' })).toBe('given');
    expect(await handOvers.give(offer, { position: '4-0' })).toBe('given');
    await handOvers.heirSteps(claim, 'shown');
    expect(await handOvers.give(offer, {})).toBe('given');
    expect(await records.get(id)).toMatchObject({ epoch: 2, position: '5-0' });
  });

  it.each([
    { when: 'nobody is ready', prepare: claimed },
    {
      when: 'the heir has declined',
      prepare: async () => {
        const both = await ready();
        expect(await handOvers.heirSteps(both.claim, 'declined')).toBe('taken');
        return both;
      },
    },
    {
      when: 'the owner has withdrawn',
      prepare: async () => {
        const both = await ready();
        expect(await handOvers.withdraw(both.offer)).toBe('taken');
        return both;
      },
    },
    {
      when: 'the heir waited too long',
      prepare: async () => {
        const both = await claimed();
        await hasty.heirSteps(both.claim, 'ready');
        await expect.poll(() => handOvers.look(id, both.offer.token), { interval: 5 }).toBe('void');
        return both;
      },
    },
    {
      when: 'the heir got ready too late',
      prepare: async () => {
        const both = await claimed(hasty);
        await expect.poll(() => handOvers.look(id, both.offer.token), { interval: 5 }).toBe('void');
        expect(await handOvers.heirSteps(both.claim, 'ready')).toBe('refused');
        return both;
      },
    },
  ])('is refused when $when, and the owner stays the owner', async ({ prepare }) => {
    const { offer, claim } = await prepare();
    expect(await handOvers.give(offer, { position: '9-0' })).toBe('refused');
    expect(await records.get(id)).toMatchObject({ owner: 'w1', epoch: 1, position: '0' });
    expect((await leases.renewAll([owner])).get(id)).toEqual({ status: 'held' });
    expect((await leases.renewAll([claim.ownership])).get(id)).toEqual({ status: 'lost' });
    expect(await handOvers.offer(offerOf())).toBe('offered');
  });

  it('is fenced for an owner that was lost meanwhile, whatever the heir has prepared', async () => {
    const { offer, claim } = await ready();
    await leases.release(owner);
    await leases.acquire(id, 'w3');
    expect(await handOvers.give(offer, {})).toBe('fenced');
    expect(await handOvers.heirSteps(claim, 'shown')).toBe('refused');
    expect(await records.get(id)).toMatchObject({ owner: 'w3', epoch: 2 });
  });

  it('and a withdrawal at the same moment have one outcome', async () => {
    const rival = new HandOvers(fixture.connect(), keys);
    for (let round = 0; round < 30; round += 1) {
      const { offer } = await ready();
      const [given, withdrawn] = await Promise.all([handOvers.give(offer, {}), rival.withdraw(offer)]);
      expect([`${given} ${withdrawn}`]).toEqual([given === 'given' ? 'given refused' : 'refused taken']);
      if (given !== 'given') continue;
      const record = await records.get(id);
      owner = {
        ...owner,
        epoch: record?.epoch ?? 0,
        nonce: (await redis.hget(keys.conversation(id).record, 'ownerNonce')) ?? '',
      };
      await redis.hset(keys.conversation(id).record, 'owner', 'w1');
    }
  });
});

it('what was given stays given, also when the heir never shows itself', async () => {
  const { offer } = await ready();
  expect(await new HandOvers(redis, keys, () => 15).give(offer, {})).toBe('given');
  expect(await handOvers.look(id, offer.token)).toBe('given');
  expect(await redis.pttl(keys.handOver(id))).toBeGreaterThan(0);
});

it('of every pair of steps only the table’s are taken', async () => {
  const steps = Object.keys(handOverSteps) as HandOverStep[]; // the keys of a constant
  const heirs = steps.filter((step) => handOverSteps[step].by === 'heir' && step !== 'claimed');
  const walks: Record<string, () => Promise<{ offer: Offer; claim: Claim }>> = {
    claimed,
    ready,
    given: async () => {
      const both = await ready();
      await handOvers.give(both.offer, {});
      return both;
    },
  };
  for (const [from, walk] of Object.entries(walks))
    for (const to of heirs) {
      if (from === to) continue;
      const { claim } = await walk();
      const legal: readonly string[] = handOverSteps[to].from;
      // Safe: `heirs` holds these three only.
      const outcome = await handOvers.heirSteps(claim, to as 'ready' | 'shown' | 'declined');
      expect(`${from} → ${to}: ${outcome}`).toBe(`${from} → ${to}: ${legal.includes(from) ? 'taken' : 'refused'}`);
      const next = await records.get(id);
      if (next?.owner !== 'w1') {
        owner = { ...owner, epoch: next?.epoch ?? 0, nonce: claim.ownership.nonce };
        await redis.hset(keys.conversation(id).record, 'owner', 'w1');
      }
    }
});
