// Owner or heir dies (SIGKILL, between two lines of the product's own code) at every moment of a hand-over, in the middle of speech. The
// conversation goes on: with the owner, with the heir, or with somebody who takes it over; always one of them, always in the same
// Tavus conversation. The judges are Tavus' bill and call list, and Redis. Rooms need no browser here.
import { randomUUID } from 'node:crypto';
import { StartRequest } from '@tavus-fleet/contracts';
import { EventLog } from '@tavus-fleet/redis';
import { redisFixture } from '@tavus-fleet/testkit';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { figures } from '../e2e/fixtures/judge.ts';
import { eventually } from '../e2e/fixtures/users.ts';
import { DyingWorker } from './fixtures/dying-worker.ts';
import { FleetWorld } from './fixtures/fleet-world.ts';
import { heirMoments, ownerMoments, type Moment } from './fixtures/hand-over-moments.ts';
import { report, today } from './fixtures/report.ts';
import { countedSound, speak } from './fixtures/speech.ts';

const fixture = redisFixture({ allow: /./ }); // conversations run here: what they leave is the other tests' business
const redis = fixture.connect();
const SOON = { timeout: 20_000, interval: 20 };
/** One for each moment in a round: each is a process, and a hundred at once would measure the machine. */
const rounds = Array.from({ length: process.env['FULL'] ? Number(process.env['ROUNDS'] ?? 20) : 1 }, (_, n) => n + 1);
const SPEECH_MS = 9_000;
/** A lost owner's successor repeats no more than this; see docs/architecture.md. */
const MAY_REPEAT_MS = 500;
const AT_ONCE = 4;
const STEADY_MS = 4_000;
const REQUEST = StartRequest.parse({ replicaId: 'r1', output: { room: { url: 'https://acme.daily.co/lobby' } } });
/** By who died at which moment: how many takeovers followed, each time. */
const outcomes = new Map<string, number[]>();
let passed = 0;

let world: FleetWorld;
let env: Record<string, string>;
const dying: DyingWorker[] = [];

beforeEach(async () => {
  const keyPrefix = `${fixture.keyPrefix}-${randomUUID().slice(0, 8)}`;
  world = await FleetWorld.start({
    redisUrl: fixture.url,
    keyPrefix,
    redis,
    workers: 0,
    env: { WORKER_MAX_SESSIONS: '400' },
  });
  env = {
    REDIS_URL: fixture.url,
    KEY_PREFIX: keyPrefix,
    FLEET_ID: 'world',
    TAVUS_BASE_URL: world.tavus.url,
    TAVUS_MAX_CONCURRENT: '400',
  };
});
afterEach(async () => {
  for (const one of dying.splice(0)) await one.end();
  await world?.[Symbol.asyncDispose]();
});

/** A few processes at a time: each costs a core most of a second. */
async function startAll(of: readonly Moment[], more: Record<string, string> = {}): Promise<void> {
  const waiting = [...of];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift())
      dying.push(await DyingWorker.start(next, { ...env, ...more }));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** They may call a lease lost only when Redis has answered them for a while: their own start is not what is measured. */
async function untilSteady(): Promise<void> {
  const isSteady = (): boolean => world.workers.every(({ parts }) => parts.health.steadyMs >= STEADY_MS);
  await eventually('the others are steady', isSteady, 10_000);
}

const eventsOf = async (id: string, type: string): Promise<unknown[]> =>
  (await new EventLog(redis, world.keys).read(id, '0', 2_000)).events.filter((event) => event.type === type);

/** Each was said to its end by somebody, nearly once; then all are stopped, and nothing is left. Answers epoch and takeovers of each. */
async function judge(ids: readonly string[]): Promise<Map<string, { epoch: number; takeovers: number }>> {
  const found = new Map<string, { epoch: number; takeovers: number }>();
  for (const id of ids) {
    await expect.poll(async () => (await world.view(id)).counters.playedMs, SOON).toBeGreaterThan(SPEECH_MS - 1);
    const { state, epoch, counters } = await world.view(id);
    expect([id, state]).toEqual([id, 'live']);
    expect(counters.playedMs).toBeLessThanOrEqual(SPEECH_MS + MAY_REPEAT_MS);
    expect(await eventsOf(id, 'frames-dropped')).toEqual([]);
    found.set(id, { epoch, takeovers: (await eventsOf(id, 'takeover')).length });
  }
  for (const id of ids) await world.verb(id, 'stop');
  await expect.poll(() => world.open(), SOON).toEqual([]);
  for (const id of ids) expect((await world.view(id)).endReason).toBe('stopped');
  const { made, stale } = world.judge();
  expect([...new Set(made.values())]).toEqual([1]);
  expect(stale).toEqual([]);
  return found;
}

function say(who: 'owner' | 'heir', moment: Moment, takeovers: readonly number[]): void {
  const key = `${who} | ${moment}`;
  outcomes.set(key, [...(outcomes.get(key) ?? []), ...takeovers]);
}

afterAll(() => {
  if (passed < 2 * rounds.length) return; // a round failed: the words below would be false
  report('killed-in-hand-over', 'Owner or heir killed in a hand-over', [
    `${today()}, \`FULL=1 ROUNDS=${rounds.length} npx vitest run --project faults test/faults/killed-in-hand-over.test.ts\`: SIGKILL by the worker itself between two`,
    `lines of the product's code, ${rounds.length} per moment, under speech. Real Redis, BullMQ, Tavus' REST side of the simulator; rooms without a browser.`,
    '',
    'Conversations lost: 0. Un-ended at Tavus: 0. Calls with an old epoch: 0. Tavus conversations per conversation: 1. Dropped frames: 0.',
    '',
    '| who | killed when | times | what followed |',
    '|---|---|---|---|',
    ...[...outcomes].map(
      ([key, takeovers]) =>
        `| ${key} | ${takeovers.length} | ${Math.max(0, ...takeovers) === 0 ? 'the hand-over or its owner went on' : 'taken over'} |`,
    ),
  ]);
});

it.each(rounds)(
  'owners killed at each moment: before it was given it is taken over, after that the heir goes on (%i)',
  async () => {
    for (let n = 0; n < 2; n += 1) await world.addWorker();
    await untilSteady();
    await startAll(ownerMoments);
    const died = new Map<string, Moment>();
    await Promise.all(
      dying.map(async (owner, n) => {
        const id = `owner-${owner.moment}-${n}`;
        await world.records.create({ request: REQUEST, createdBy: 'world', conversationId: id });
        await owner.own(id);
        await speak(world, id, countedSound(SPEECH_MS));
        owner.drain();
        died.set(await owner.died(30_000), owner.moment);
      }),
    );
    const found = await judge([...died.keys()]);
    figures('owners killed in a hand-over', Object.fromEntries(found));
    for (const moment of ownerMoments) {
      const these = [...died].flatMap(([id, at]) => (at === moment ? [found.get(id)?.takeovers ?? -1] : []));
      const isGiven = moment === 'given' || moment === 'silent';
      expect([moment, these]).toEqual([moment, [isGiven ? 0 : 1]]);
      say('owner', moment, these);
    }
    passed += 1;
  },
  600_000,
);

it.each(rounds)(
  'heirs killed at each moment: until it is given the owner goes on and offers anew, after that somebody takes over (%i)',
  async () => {
    const owner = await world.addWorker();
    const ids = heirMoments.map((_, n) => `heir-${n}`);
    for (const id of ids) {
      await world.records.create({ request: REQUEST, createdBy: 'world', conversationId: id });
      await owner.worker.sessions.start({ v: 1, conversationId: id });
    }
    await startAll(heirMoments, { WORKER_MAX_SESSIONS: '1' });
    // Those who will live come late to the offers, and in time for what is lost.
    let isOpen = false;
    for (let n = 0; n < 2; n += 1)
      await world.addWorker({}, (parts) => {
        const open = parts.handOvers.open.bind(parts.handOvers);
        parts.handOvers.open = async (limit) => (isOpen ? open(limit) : []);
        return parts;
      });
    await untilSteady();
    for (const id of ids) await speak(world, id, countedSound(SPEECH_MS));
    const drained = owner.stop(60_000);
    // One whose heir died early is offered to the next, which may die as well: what it died of last is what counts.
    const died = new Map<string, Moment>();
    await Promise.all(dying.map(async (heir) => died.set(await heir.died(40_000), heir.moment)));
    isOpen = true;
    await drained;
    const found = await judge(ids);
    figures('heirs killed in a hand-over', Object.fromEntries(found));
    for (const moment of heirMoments) {
      const these = [...died].flatMap(([id, at]) => (at === moment ? [found.get(id)?.takeovers ?? -1] : []));
      const isGiven = moment !== 'claimed' && moment !== 'prepared';
      expect([moment, these.filter((takeovers) => takeovers !== (isGiven ? 1 : 0))]).toEqual([moment, []]);
      say('heir', moment, these);
    }
    passed += 1;
  },
  600_000,
);
