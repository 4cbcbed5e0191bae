import { FakeClock } from '@tavus-fleet/lifecycle';
import type { OwnRow } from '@tavus-fleet/redis';
import { expect, test } from 'vitest';
import { OwnRows } from './own-rows.ts';

const row = (n: number): OwnRow => ({ conversationId: `c${n}`, epoch: 1, attempt: 1, name: `n${n}`, workerId: 'w1' });

function setup() {
  const clock = new FakeClock();
  const world = {
    held: new Set(['c1', 'c2']),
    stale: new Set<string>(),
    said: [] as string[][],
    warnings: 0,
    gate: undefined as Promise<void> | undefined,
  };
  const rows = new OwnRows(
    {
      keep: async (list) => {
        world.said.push(list.map(({ name, tavusConversationId }) => `${name} ${tavusConversationId ?? '-'}`));
        await world.gate;
        return 1;
      },
      holds: (id) => world.held.has(id),
      isFresh: (id) => !world.stale.has(id),
    },
    clock,
    { warn: () => (world.warnings += 1) },
  );
  return { clock, world, rows };
}

test('says its rows again as long as it holds the conversation and the row is open', async () => {
  const { clock, world, rows } = setup();
  rows.has(row(1));
  rows.has({ ...row(1), tavusConversationId: 't1' });
  rows.has(row(2));
  await clock.pass(5_000);
  expect(world.said).toEqual([['n1 t1', 'n2 -']]);
  expect(world.warnings).toBe(1);
  world.held.delete('c2');
  await clock.pass(5_000);
  expect(world.said[1]).toEqual(['n1 t1']);
  await rows.drop('n1');
  expect(clock.pending).toBe(0);
});

test('a row that is being closed cannot be written again behind its back', async () => {
  const { world, rows } = setup();
  const gate = Promise.withResolvers<void>();
  world.gate = gate.promise;
  rows.has(row(1));
  const keeping = rows.keep();
  let dropped = false;
  const dropping = rows.drop('n1').then(() => (dropped = true));
  await Promise.resolve();
  expect(dropped).toBe(false);
  gate.resolve();
  await Promise.all([keeping, dropping]);
  world.gate = undefined;
  await rows.keep();
  expect(world.said.at(-1)).toEqual([]);
});

test('vouches for nothing of which Redis has said nothing lately, and forgets it only when it is lost', async () => {
  const { clock, world, rows } = setup();
  rows.has(row(1));
  rows.has(row(2));
  world.stale.add('c1');
  await clock.pass(5_000);
  world.stale.clear();
  await clock.pass(5_000);
  expect(world.said).toEqual([['n2 -'], ['n1 -', 'n2 -']]);
  rows.close();
  expect(clock.pending).toBe(0);
});
