import { FleetError, type StartData } from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { expect, test } from 'vitest';
import { ClaimLoop, type StartOutcome } from './claim.ts';
import type { ClaimedJob, StartJobs } from './start-jobs.ts';

/** A queue in memory: one page, the port and nothing more. */
class MemoryJobs implements StartJobs {
  readonly log: string[] = [];
  readonly #waiting: unknown[] = [];
  #wake: (() => void) | undefined;
  closed = false;

  add(data: unknown): void {
    this.#waiting.push(data);
    this.#wake?.();
  }

  async next(): Promise<ClaimedJob | undefined> {
    if (this.closed) return undefined;
    if (this.#waiting.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    const data = this.#waiting.shift();
    if (data === undefined) return undefined;
    const note = (what: string) => async (): Promise<void> => void this.log.push(what);
    return {
      id: '1',
      data,
      lastAttempt: false,
      done: note('done'),
      giveBack: note('gave back'),
      failed: async (error, retry) => void this.log.push(`failed (${retry ? 'retry' : 'for good'}): ${error.message}`),
    };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#wake?.();
  }
}

type Admitted = 'ok' | 'over' | 'full';

function setup(start: (data: StartData) => Promise<StartOutcome>) {
  const jobs = new MemoryJobs();
  const world = {
    why: undefined as string | undefined,
    closed: undefined as string | undefined,
    admits: [] as (Admitted | Error)[],
    admitted: 0,
    released: [] as string[],
    errors: [] as unknown[],
  };
  const clock = new FakeClock();
  const loop = new ClaimLoop({
    jobs,
    claimer: { whyNotOneMore: () => world.why, start },
    gate: {
      whyClosed: async () => world.closed,
      admit: async () => {
        world.admitted += 1;
        const next = world.admits.shift() ?? 'ok';
        if (next instanceof Error) throw next;
        return next;
      },
      release: async ({ conversationId }) => void world.released.push(conversationId),
    },
    clock,
    onError: (error) => world.errors.push(error),
  });
  loop.start();
  return { jobs, loop, world, clock };
}

const data = { v: 1, conversationId: 'abc' };

test.each<{ when: string; outcome: StartOutcome; log: string }>([
  { when: 'it is live', outcome: { kind: 'live' }, log: 'done' },
  { when: 'somebody else owns it', outcome: { kind: 'elsewhere' }, log: 'done' },
  { when: 'it was over already', outcome: { kind: 'over' }, log: 'done' },
  {
    when: 'its start failed',
    outcome: { kind: 'failed', error: new FleetError('tavus-auth', 'bad key') },
    log: 'failed (for good): bad key',
  },
])('a job ends when $when', async ({ outcome, log }) => {
  const { jobs, loop } = setup(async () => outcome);
  jobs.add(data);
  await expect.poll(() => jobs.log).toEqual([log]);
  await loop.close();
});

test('a malformed job fails for good and names the field; the loop goes on', async () => {
  const { jobs, loop } = setup(async () => ({ kind: 'live' }));
  jobs.add({ v: 1, conversationId: 'no spaces allowed' });
  jobs.add(data);
  await expect.poll(() => jobs.log.length).toBe(2);
  expect(jobs.log).toEqual([expect.stringMatching(/^failed \(for good\): conversationId: /), 'done']);
  await loop.close();
});

test('no job is taken while there is no room, and one that came through meanwhile goes back', async () => {
  const { jobs, loop, world, clock } = setup(async () => ({ kind: 'live' }));
  await clock.pass(0); // the loop is now waiting for a job
  world.why = 'full';
  jobs.add(data);
  await expect.poll(() => jobs.log).toEqual(['gave back']);
  world.why = undefined;
  jobs.add(data);
  await clock.pass(100);
  await expect.poll(() => jobs.log).toEqual(['gave back', 'done']);
  await loop.close();
});

test('nothing is fetched while the provider has no slot or refuses; why is told', async () => {
  const { jobs, loop, world, clock } = setup(async () => ({ kind: 'live' }));
  world.closed = 'tavus-refuses-auth';
  await clock.pass(0);
  jobs.add({ ...data, conversationId: 'first' }); // the fetch that was under way
  await expect.poll(() => jobs.log).toEqual(['done']);
  await clock.pass(50);
  jobs.add(data);
  await clock.pass(1_000);
  expect(jobs.log).toEqual(['done']);
  expect(loop.whyWaiting).toBe('tavus-refuses-auth');
  world.closed = undefined;
  await clock.pass(200);
  await expect.poll(() => jobs.log).toEqual(['done', 'done']);
  expect(loop.whyWaiting).toBeUndefined();
  await loop.close();
});

test('a job that lost the race for the last slot is held for a second and waits; then it goes back in front', async () => {
  const { jobs, loop, world, clock } = setup(async () => ({ kind: 'live' }));
  world.admits = ['full', 'full', 'full'];
  jobs.add(data);
  await clock.pass(200);
  expect(jobs.log).toEqual(['done']);
  expect(world.admitted).toBe(4);
  world.admits = Array.from({ length: 100 }, () => 'full' as const);
  jobs.add(data);
  await clock.pass(900);
  expect(jobs.log).toEqual(['done']);
  await clock.pass(200);
  expect(jobs.log).toEqual(['done', 'gave back']);
  await loop.close();
});

test('a job of a conversation that ended meanwhile is done; nothing is started', async () => {
  const started: string[] = [];
  const { jobs, loop, world } = setup(async ({ conversationId }) => {
    started.push(conversationId);
    return { kind: 'live' };
  });
  world.admits = ['over'];
  jobs.add(data);
  await expect.poll(() => jobs.log).toEqual(['done']);
  expect(started).toEqual([]);
  await loop.close();
});

test('a slot that was taken and not used is given back: after the start, and when there is no room here any more', async () => {
  const { jobs, loop, world, clock } = setup(async () => ({
    kind: 'failed',
    error: new FleetError('tavus-auth', 'x'),
  }));
  jobs.add(data);
  await expect.poll(() => world.released).toEqual(['abc']);
  world.admits = ['full', 'ok'];
  jobs.add({ ...data, conversationId: 'def' });
  await clock.pass(40);
  world.why = 'draining';
  await clock.pass(60);
  expect(jobs.log).toEqual(['failed (for good): x', 'gave back']);
  await loop.close();
});

test('a silent Redis gives the job back, is told, and the loop goes on', async () => {
  const { jobs, loop, world, clock } = setup(async () => ({ kind: 'live' }));
  world.admits = [new FleetError('redis-unavailable', 'silent')];
  jobs.add(data);
  await clock.pass(10);
  expect(jobs.log).toEqual(['gave back']);
  expect(world.errors).toHaveLength(1);
  jobs.add(data);
  await clock.pass(500);
  expect(jobs.log).toEqual(['gave back', 'done']);
  await loop.close();
});

test('starts run side by side; close waits for those under way', async () => {
  const gates: (() => void)[] = [];
  const { jobs, loop } = setup(
    () => new Promise<StartOutcome>((resolve) => gates.push(() => resolve({ kind: 'live' }))),
  );
  jobs.add(data);
  jobs.add({ ...data, conversationId: 'def' });
  await expect.poll(() => gates.length).toBe(2);
  const closing = loop.close();
  for (const open of gates) open();
  await closing;
  expect(jobs.log).toEqual(['done', 'done']);
});
