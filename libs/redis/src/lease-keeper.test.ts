import { FakeClock } from '@tavus-fleet/lifecycle';
import type { Ownership } from '@tavus-fleet/contracts';
import { expect, it } from 'vitest';
import { LeaseKeeper, type LeaseListener } from './lease-keeper.ts';
import type { Renewal } from './leases.ts';

const owner = (id: string): Ownership => ({ conversationId: id, epoch: 1, nonce: 'n'.repeat(16) });

function setup() {
  const clock = new FakeClock();
  const answers = new Map<string, Renewal>();
  const world = { silent: false, silentOf: '', renewals: 0, released: [] as string[] };
  const leases = {
    renewAll: async (owners: readonly Ownership[]) => {
      world.renewals += 1;
      if (world.silent) throw new Error('silent');
      const known = owners.filter(({ conversationId }) => conversationId !== world.silentOf);
      return new Map<string, Renewal>(
        known.map(({ conversationId }) => [conversationId, answers.get(conversationId) ?? { status: 'held' }]),
      );
    },
    release: async ({ conversationId }: Ownership) => {
      world.released.push(conversationId);
      return 'released' as const;
    },
  };
  const heard: string[] = [];
  const listener = (id: string): LeaseListener => ({
    onLost: (why) => heard.push(`${id} lost ${why}`),
    onDesired: (verb) => heard.push(`${id} ${verb}`),
    onUnknown: (ms) => heard.push(`${id} unknown ${ms}`),
    onKnown: () => heard.push(`${id} known`),
  });
  return { clock, answers, world, heard, listener, keeper: new LeaseKeeper(leases, { clock }) };
}

it('renews all leases once a second and nothing when there are none', async () => {
  const { clock, keeper, world, listener } = setup();
  const a = keeper.hold(owner('a'), listener('a'));
  keeper.hold(owner('b'), listener('b')).forget();
  await clock.pass(3000);
  expect(world.renewals).toBe(3);
  await a.release();
  await a.release();
  expect(world.released).toEqual(['a']);
  expect(clock.pending).toBe(0);
});

it('tells lost once and renews it no more', async () => {
  const { clock, keeper, answers, heard, listener } = setup();
  keeper.hold(owner('a'), listener('a'));
  keeper.hold(owner('b'), listener('b'));
  answers.set('a', { status: 'lost' });
  answers.set('b', { status: 'absent' });
  await clock.pass(2000);
  expect(heard).toEqual(['a lost taken', 'b lost absent']);
  expect(keeper.size).toBe(0);
});

it('what is not in the answer is unknown, and no other', async () => {
  const { clock, keeper, world, heard, listener } = setup();
  const a = keeper.hold(owner('a'), listener('a'));
  const b = keeper.hold(owner('b'), listener('b'));
  world.silentOf = 'a';
  await clock.pass(2000);
  expect([keeper.isFresh('a', 1500), keeper.isFresh('b', 1500)]).toEqual([false, true]);
  world.silentOf = '';
  await clock.pass(1000);
  expect(heard).toEqual(['a unknown 1000', 'a unknown 2000', 'a known']);
  a.forget();
  b.forget();
});

it('silence is unknown, not lost, and ends', async () => {
  const { clock, keeper, world, heard, listener } = setup();
  keeper.hold(owner('a'), listener('a'));
  await clock.pass(1000);
  world.silent = true;
  await clock.pass(10_000);
  world.silent = false;
  await clock.pass(1000);
  expect(heard).toEqual([...Array.from({ length: 10 }, (_, i) => `a unknown ${(i + 1) * 1000}`), 'a known']);
  expect(keeper.size).toBe(1);
});

it('tells stop once, then cancel', async () => {
  const { clock, keeper, answers, heard, listener } = setup();
  keeper.hold(owner('a'), listener('a'));
  answers.set('a', { status: 'held', desired: 'stop' });
  await clock.pass(3000);
  answers.set('a', { status: 'held', desired: 'cancel' });
  await clock.pass(2000);
  expect(heard).toEqual(['a stop', 'a cancel']);
});

it('a listener that throws harms no other', async () => {
  const { clock, keeper, answers, heard, listener } = setup();
  keeper.hold(owner('a'), {
    onDesired: () => {
      throw new Error('mine');
    },
  });
  keeper.hold(owner('b'), listener('b'));
  answers.set('a', { status: 'held', desired: 'stop' }).set('b', { status: 'held', desired: 'stop' });
  await clock.pass(1000);
  expect(heard).toEqual(['b stop']);
});

it('close gives everything back, twice is once, and takes nothing new', async () => {
  const { clock, keeper, world, listener } = setup();
  keeper.hold(owner('a'), listener('a'));
  await keeper.close();
  await keeper.close();
  expect(world.released).toEqual(['a']);
  expect(clock.pending).toBe(0);
  expect(() => keeper.hold(owner('b'), {})).toThrow('closed');
});

it('a confirmation is as old as its question: one that was slept through does not count', async () => {
  const { clock, keeper, world, answers, listener } = setup();
  const own = owner('a');
  keeper.hold(own, listener('a'), clock.now() - 5_000); // the answer to acquire was slept through
  const never = new AbortController().signal;
  expect([keeper.isFresh('a', 2_000), keeper.holds('a')]).toEqual([false, true]);
  await keeper.confirmed(own, 2_000, never);
  expect([world.renewals, keeper.isFresh('a', 2_000)]).toEqual([1, true]);
  await keeper.confirmed(own, 2_000, never);
  expect(world.renewals).toBe(1);

  world.silent = true;
  await clock.pass(2_500);
  const before = world.renewals;
  let said = 'nothing yet';
  const asking = keeper.confirmed(own, 2_000, never).then(
    () => (said = 'confirmed'),
    () => (said = 'refused'),
  );
  await clock.pass(5_000);
  expect([said, world.renewals > before]).toEqual(['nothing yet', true]);
  world.silent = false;
  await clock.pass(1_000);
  expect(said).toBe('confirmed');

  answers.set('a', { status: 'lost' });
  await clock.pass(1_000);
  await expect(keeper.confirmed(own, 2_000, never)).rejects.toMatchObject({ code: 'lease-lost' });
  await asking;
  expect(clock.pending).toBe(0);
});
