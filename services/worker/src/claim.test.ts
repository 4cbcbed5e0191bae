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

function setup(start: (data: StartData) => Promise<StartOutcome>) {
  const jobs = new MemoryJobs();
  const world = { why: undefined as string | undefined, errors: [] as unknown[] };
  const clock = new FakeClock();
  const loop = new ClaimLoop(jobs, { whyNotOneMore: () => world.why, start }, clock, (error) =>
    world.errors.push(error),
  );
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
