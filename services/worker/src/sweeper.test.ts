import { FakeClock } from '@tavus-fleet/lifecycle';
import { expect, test } from 'vitest';
import { Sweeper, type SweeperPort, type Waiting } from './sweeper.ts';

const NOW = 1_800_000_000_000;

/** Conversations that wait, in memory. Our clock is decades behind Redis'. */
function setup(
  entries: Record<string, { ageMs: number; state?: Waiting['state']; limitSeconds?: number } | 'bad' | 'gone'>,
) {
  const clock = new FakeClock(0);
  const log: string[] = [];
  const errors: unknown[] = [];
  const world = { mine: true, jobs: [] as unknown[], withJob: new Set<string>(), indexAgeMs: 0 };
  const port: SweeperPort = {
    turn: async () => world.mine,
    nowMs: async () => NOW,
    jobs: async () => world.jobs,
    adopt: async ({ conversationId }) => void log.push(`adopt ${conversationId}`),
    queued: async () => Object.keys(entries).map((id) => ({ id, since: NOW - world.indexAgeMs })),
    record: async (id) => {
      const entry = entries[id];
      if (entry === 'bad') throw new Error('malformed');
      if (entry === 'gone' || entry === undefined) return undefined;
      return {
        state: entry.state ?? 'queued',
        createdAt: NOW - entry.ageMs,
        startTimeoutSeconds: entry.limitSeconds ?? 60,
      };
    },
    forget: async (ids) => void (ids.length > 0 && log.push(`forget ${ids.join(' ')}`)),
    failStartTimeout: async (id) => void log.push(`time out ${id}`),
    forgotten: async (ids) => ids.filter((id) => !world.withJob.has(id)),
    wakeUp: async (id) => void log.push(`wake ${id}`),
  };
  return { clock, log, errors, world, sweeper: new Sweeper(port, clock, (error) => errors.push(error)) };
}

test('one that waited longer than its limit ends; one that cannot be read keeps no other waiting', async () => {
  const { clock, log, errors, sweeper } = setup({
    bad: 'bad',
    old: { ageMs: 61_000 },
    young: { ageMs: 1_000 },
    hasty: { ageMs: 2_001, limitSeconds: 2 },
  });
  sweeper.start();
  await clock.pass(1_000);
  await sweeper.close();
  expect(log).toEqual(['time out old', 'time out hasty']);
  expect(errors).toHaveLength(1);
  expect(clock.pending).toBe(0);
});

test('a record without a job for five seconds gets one, and no other does', async () => {
  const { log, world, sweeper } = setup({ lost: { ageMs: 5_001 }, fresh: { ageMs: 4_999 }, waits: { ageMs: 30_000 } });
  world.withJob.add('waits');
  await sweeper.sweep();
  expect(log).toEqual(['wake lost']);
});

test('the index is repaired: what is queued no more and what never got a record is forgotten', async () => {
  const { log, world, sweeper } = setup({ live: { ageMs: 9_000, state: 'live' }, gone: 'gone' });
  await sweeper.sweep();
  world.indexAgeMs = 61_000;
  await sweeper.sweep();
  expect(log).toEqual(['forget live', 'forget live gone']);
});

test('a job that came without a record gets one; ours and malformed ones are left to the claimer', async () => {
  const { log, world, sweeper } = setup({});
  const request = { replicaId: 'r1' };
  world.jobs = [
    { v: 1, conversationId: 'foreign', request },
    { v: 1, conversationId: 'ours' },
    { v: 1, conversationId: 'a b', request },
    'nonsense',
  ];
  await sweeper.sweep();
  expect(log).toEqual(['adopt foreign']);
});

test('nothing is done out of turn', async () => {
  const { log, world, sweeper } = setup({ old: { ageMs: 61_000 } });
  world.mine = false;
  await sweeper.sweep();
  expect(log).toEqual([]);
});
