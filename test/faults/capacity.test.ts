// Twice as many starts as there are slots: never more at Tavus than the plan allows, no slot lost, what waits is seen waiting.
// And what Tavus says of the whole account holds for the whole fleet.
import { randomUUID } from 'node:crypto';
import { BareSimulator } from '@tavus-fleet/simulator/bare';
import { redisFixture } from '@tavus-fleet/testkit';
import { afterEach, expect, it } from 'vitest';
import { report, today } from './fixtures/report.ts';
import { FleetWorld, type FleetWorldOptions } from './fixtures/fleet-world.ts';

const fixture = redisFixture({ allow: /./ }); // conversations run here: what they leave is the other tests' business
const rounds = process.env['FULL'] ? 50 : 5;
const SOON = { timeout: 20_000, interval: 20 };
const redis = fixture.connect();

let world: FleetWorld | undefined;

afterEach(async () => {
  await world?.[Symbol.asyncDispose]();
  world = undefined;
});

async function fleet(options: Partial<FleetWorldOptions>): Promise<FleetWorld> {
  const keyPrefix = `${fixture.keyPrefix}-${randomUUID().slice(0, 8)}`;
  world = await FleetWorld.start({ redisUrl: fixture.url, keyPrefix, redis, ...options });
  return world;
}

const stateOf = async (of: FleetWorld, ids: readonly string[], state: string): Promise<string[]> => {
  const records = await Promise.all(ids.map((id) => of.records.get(id)));
  return ids.filter((_, at) => records[at]?.state === state);
};

it(`2K starts from many clients for K slots, ${rounds} rounds: overspill 0, no slot lost, and every one has its turn`, async () => {
  const K = 10;
  const of = await fleet({ workers: 4, env: { TAVUS_MAX_CONCURRENT: String(K), WORKER_MAX_SESSIONS: String(2 * K) } });
  for (let round = 0; round < rounds; round += 1) {
    const ids = await Promise.all(Array.from({ length: 2 * K }, () => of.start()));
    await expect.poll(() => stateOf(of, ids, 'live'), SOON).toHaveLength(K);
    // Nobody holds what cannot start: the others wait in the queue, each with a place of its own.
    const waiting = await stateOf(of, ids, 'queued');
    expect(waiting).toHaveLength(K);
    const views = await Promise.all(waiting.map((id) => of.view(id)));
    expect(views.map(({ queue }) => queue?.position).toSorted((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: K }, (_, at) => at + 1),
    );
    expect(of.workers.flatMap(({ worker }) => worker.sessions.list())).toHaveLength(K);
    expect(of.tavus.unended).toHaveLength(K);
    // Each that ends lets the next one in, until all have been live.
    for (const id of await stateOf(of, ids, 'live')) await of.verb(id, round % 2 === 0 ? 'cancel' : 'stop');
    await expect.poll(() => stateOf(of, waiting, 'live'), SOON).toHaveLength(K);
    await Promise.all(waiting.map((id) => of.verb(id, 'cancel')));
    await expect.poll(() => of.open(), SOON).toEqual([]);
    expect((await of.slots()).reserved).toBe(0);
  }
  const { peak, stale, made } = of.judge();
  expect({ peak, stale }).toEqual({ peak: K, stale: [] });
  expect([...new Set(made.values())]).toEqual([1]);
  report('capacity', 'Twice as many starts as slots', [
    `${today()}, \`FULL=1 npx vitest run --project faults test/faults/capacity.test.ts\`: ${rounds} rounds of ${2 * K} starts at once for ${K} slots at the provider,`,
    "four workers with room for all of them. Real Redis, BullMQ, Tavus' REST side of the simulator; rooms without a browser.",
    '',
    `Most conversations at Tavus at one moment, over all rounds: ${peak} (overspill ${peak - K}). Slots lost: 0 (in each round ${K} were live, twice). Left waiting: 0, each`,
    `with its place meanwhile. Tavus conversations per start: 1. Un-ended: 0.`,
  ]);
});

it('a plan that is smaller than we were told: starts wait and are told why, Tavus is asked by one at a time, nothing fails', async () => {
  const of = await fleet({ workers: 2 });
  of.tavus.change({ planConcurrency: 2 });
  const ids = await Promise.all(Array.from({ length: 6 }, () => of.start()));
  await expect.poll(() => stateOf(of, ids, 'live'), SOON).toHaveLength(2);
  await expect.poll(async () => (await of.slots()).refusal?.why, SOON).toBe('capacity');
  const before = await of.createsAsked();
  await expect.poll(async () => (await of.createsAsked()) - before, SOON).toBeGreaterThanOrEqual(2); // asked again, and again
  await of.redis.hset(of.keys.fleet.provider, 'until', Date.now() + 600_000);
  const late = await of.start();
  const why = 'tavus-refuses-capacity';
  await expect.poll(() => of.workers.map(({ worker }) => worker.whyWaiting), SOON).toEqual([why, why]);
  expect((await of.view(late)).state).toBe('queued'); // not claimed while nobody may ask
  of.tavus.change({ planConcurrency: null });
  await of.redis.hset(of.keys.fleet.provider, 'until', '1');
  await expect.poll(() => stateOf(of, [...ids, late], 'live'), { timeout: 40_000, interval: 50 }).toHaveLength(7);
  expect((await of.slots()).refusal).toBeUndefined();
  await Promise.all([...ids, late].map((id) => of.verb(id, 'cancel')));
  await expect.poll(() => of.open(), SOON).toEqual([]);
});

it.each(['create-401', 'create-402'] as const)(
  '%s: one conversation ends with it, the whole fleet claims no other, and says so',
  async (fault) => {
    const of = await fleet({ workers: 3 });
    of.tavus.fault({ fault });
    const first = await of.start();
    const reason = fault === 'create-401' ? 'tavus-auth' : 'tavus-credits';
    await expect.poll(async () => (await of.view(first)).endReason, SOON).toBe(reason);
    const ids = await Promise.all(Array.from({ length: 5 }, () => of.start()));
    const word = fault === 'create-401' ? 'auth' : 'credits';
    const why = `tavus-refuses-${word}`;
    await expect.poll(() => of.workers.map(({ worker }) => worker.whyWaiting), SOON).toEqual([why, why, why]);
    expect(await stateOf(of, ids, 'queued')).toHaveLength(5);
    expect(await of.metric(`fleet_tavus_refuses{why="${word}"}`)).toBe(1);
    expect(await of.metric('fleet_conversations{state="queued"}')).toBe(5);
    // Half a minute later one finds out that it is over, and the others follow.
    await of.redis.hset(of.keys.fleet.provider, 'until', '1');
    await expect.poll(() => stateOf(of, ids, 'live'), SOON).toHaveLength(5);
    expect(await of.metric(`fleet_tavus_refuses{why="${word}"}`)).toBe(0);
    await Promise.all(ids.map((id) => of.verb(id, 'cancel')));
    await expect.poll(() => of.open(), SOON).toEqual([]);
  },
);

it('a conversation that lost its owner is let through although every slot is taken', async () => {
  const of = await fleet({ workers: 1, env: { TAVUS_MAX_CONCURRENT: '1', WORKER_MAX_SESSIONS: '5' } });
  const holder = await of.start();
  await expect.poll(async () => (await of.view(holder)).state, SOON).toBe('live');
  const waiting = await of.start();
  await expect.poll(() => of.workers[0]?.worker.whyWaiting, SOON).toBe('provider-full');
  await of.queues.enqueue('start', { v: 1, conversationId: holder }, { urgent: true });
  // It is taken, found to be somebody's, and done with; the one in line is still there.
  await expect.poll(() => of.queues.sessions.getWaitingCount(), SOON).toBe(1);
  expect((await of.view(waiting)).queue).toMatchObject({ position: 1 });
  await of.verb(holder, 'cancel');
  await expect.poll(async () => (await of.view(waiting)).state, SOON).toBe('live');
});

it('a job that was lost, with its queue or alone, is added again from the record within some seconds', async () => {
  const tavus = await BareSimulator.start();
  const of = await fleet({ workers: 0, tavus });
  const ids = await Promise.all(Array.from({ length: 20 }, () => of.start()));
  for (const key of await redis.keys(`{${of.keys.prefix}}:sessions:*`)) await redis.del(key);
  await of.addWorker();
  await expect.poll(() => stateOf(of, ids, 'live'), SOON).toHaveLength(20);
  expect([...new Set(of.judge().made.values())]).toEqual([1]);
  await Promise.all(ids.map((id) => of.verb(id, 'cancel')));
  await expect.poll(() => of.open(), SOON).toEqual([]);
  await tavus[Symbol.asyncDispose]();
});
