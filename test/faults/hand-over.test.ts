// A worker drains while conversations live on it: others take them over at the sample where it stands. A full house finishes what was
// accepted; what is asked in the middle of a hand-over is obeyed by whoever owns it then. Rooms need no browser here;
// live/rolling-restart has real ones.
import { randomUUID } from 'node:crypto';
import { EventLog } from '@tavus-fleet/redis';
import type { FakeRoom } from '@tavus-fleet/rooms';
import { redisFixture } from '@tavus-fleet/testkit';
import { afterEach, expect, it } from 'vitest';
import { FleetWorld, type FleetWorldOptions, type WorldWorker } from './fixtures/fleet-world.ts';
import { moments, withMoments, type Moment } from './fixtures/hand-over-moments.ts';
import { countedSound, speak } from './fixtures/speech.ts';

const fixture = redisFixture({ allow: /./ }); // conversations run here: what they leave is the other tests' business
const redis = fixture.connect();
const SOON = { timeout: 15_000, interval: 20 };
const room = { output: { room: { url: 'https://acme.daily.co/lobby' } } };
const perMoment = process.env['FULL'] ? 20 : 1;

let world: FleetWorld | undefined;
afterEach(async () => {
  await world?.[Symbol.asyncDispose]();
  world = undefined;
});

async function fleet(options: Partial<FleetWorldOptions> = {}): Promise<FleetWorld> {
  const keyPrefix = `${fixture.keyPrefix}-${randomUUID().slice(0, 8)}`;
  world = await FleetWorld.start({ redisUrl: fixture.url, keyPrefix, redis, ...options });
  return world;
}

async function live(of: FleetWorld, count: number): Promise<string[]> {
  const ids = await Promise.all(Array.from({ length: count }, () => of.start(room)));
  for (const id of ids) await expect.poll(async () => (await of.view(id)).state, SOON).toBe('live');
  return ids;
}

const roomOf = (worker: WorldWorker, id: string): FakeRoom => {
  const found = worker.rooms.opened.findLast((each) => each.identity.conversationId === id);
  if (!found) throw new Error(`That worker has no room of ${id}.`);
  return found;
};

function first(of: FleetWorld): WorldWorker {
  const [worker] = of.workers;
  if (!worker) throw new Error('There is no worker.');
  return worker;
}

const eventsOf = async (of: FleetWorld, id: string, type: string): Promise<unknown[]> =>
  (await new EventLog(of.redis, of.keys).read(id, '0', 2_000)).events.filter((event) => event.type === type);

it('gives every conversation away: same Tavus conversation, one owner at a time, no sample lost or played twice', async () => {
  const of = await fleet();
  const owner = first(of);
  const ids = await live(of, 6);
  const before = new Map(await Promise.all(ids.map(async (id) => [id, await of.view(id)] as const)));
  const sound = countedSound(12_000);
  for (const id of ids) await speak(of, id, sound);
  const played = new Map<string, number>();
  for (const id of ids) {
    const old = roomOf(owner, id);
    const flush = old.flush.bind(old);
    old.flush = async (signal) => {
      const flushed = await flush(signal);
      played.set(id, flushed.playedSamples);
      return flushed;
    };
  }
  const heir = await of.addWorker();
  await owner.stop(30_000);
  expect(owner.rooms.opened.filter(({ isClosed }) => !isClosed)).toEqual([]);
  expect((await owner.parts.metrics.expose()).body).toContain('fleet_hand_overs_total{outcome="given"} 6');
  for (const id of ids) {
    const view = await of.view(id);
    expect(view).toMatchObject({ state: 'live', epoch: 2, workerId: heir.id });
    expect(view.tavusConversationId).toBe(before.get(id)?.tavusConversationId);
    // The position is kept in ms and its fractions; less than a millisecond is rounding, here and below.
    const missingMs = async (): Promise<number> => Math.abs(12_000 - (await of.view(id)).counters.playedMs);
    await expect.poll(missingMs, SOON).toBeLessThan(1);
    const rest = new Int16Array(roomOf(heir, id).written.buffer);
    expect(Math.abs(rest.length + (played.get(id) ?? 0) - sound.length)).toBeLessThan(24);
    expect(Buffer.from(rest.buffer).equals(Buffer.from(sound.slice(sound.length - rest.length).buffer))).toBe(true);
    // Given, not lost: nobody is told of a takeover, and no owner counts as brought down.
    expect(await eventsOf(of, id, 'takeover')).toEqual([]);
    expect(await eventsOf(of, id, 'frames-dropped')).toEqual([]);
  }
  const { made, stale } = of.judge();
  expect([...new Set(made.values())]).toEqual([1]);
  expect(stale).toEqual([]);
  await Promise.all(ids.map((id) => of.verb(id, 'stop')));
  await expect.poll(() => of.open(), SOON).toEqual([]);
}, 60_000);

it('a drain asked for over the api is the same as a signal', async () => {
  const of = await fleet();
  const owner = first(of);
  const [id = ''] = await live(of, 1);
  const heir = await of.addWorker();
  expect((await of.ask('POST', `/v1/workers/${owner.id}/drain`)).status).toBe(202);
  await expect.poll(async () => (await of.view(id)).workerId, SOON).toBe(heir.id);
  await expect.poll(() => owner.worker.sessions.size, SOON).toBe(0);
  expect(await of.view(id)).toMatchObject({ state: 'live', epoch: 2 });
  await of.verb(id, 'cancel');
  await expect.poll(() => of.open(), SOON).toEqual([]);
});

it('a full house: what is short is played to its end, what is long is cut at the deadline, both say so; the others notice nothing', async () => {
  const of = await fleet({ workers: 2, env: { WORKER_MAX_SESSIONS: '2' } });
  const ids = await live(of, 4);
  const owner = first(of);
  const own = owner.worker.sessions.list().map(({ conversationId }) => conversationId);
  expect(own).toHaveLength(2);
  const [short = '', long = ''] = own;
  await speak(of, short, countedSound(1_000));
  await speak(of, long, countedSound(14_000));
  const startedAt = Date.now();
  await owner.stop(5_000);
  const tookMs = Date.now() - startedAt;
  expect(await of.view(short)).toMatchObject({ state: 'ended', endReason: 'drained', counters: { playedMs: 1_000 } });
  const cut = await of.view(long);
  expect(cut).toMatchObject({ endReason: 'drained' });
  expect(cut.counters.playedMs).toBeGreaterThan(4_000);
  expect(cut.counters.playedMs).toBeLessThan(7_000);
  // Up to half of the time a slot may become free somewhere; the forced end comes last.
  expect(tookMs).toBeGreaterThan(4_900);
  for (const id of ids.filter((each) => !own.includes(each)))
    expect(await of.view(id)).toMatchObject({ state: 'live', epoch: 1 });
  expect(of.tavus.unended).toHaveLength(2);
}, 60_000);

it('a full house in which a place becomes free in time: one of them goes on there', async () => {
  const of = await fleet({ workers: 2, env: { WORKER_MAX_SESSIONS: '2' } });
  const ids = await live(of, 4);
  const owner = first(of);
  const own = owner.worker.sessions.list().map(({ conversationId }) => conversationId);
  const stopping = owner.stop(6_000);
  const other = ids.find((id) => !own.includes(id)) ?? '';
  await of.verb(other, 'cancel');
  await stopping;
  const views = await Promise.all(own.map((id) => of.view(id)));
  expect(views.map(({ state, endReason }) => endReason ?? state).toSorted()).toEqual(['drained', 'live']);
}, 60_000);

it(`asked to end at every moment of a hand-over, ${perMoment} times each: one outcome, what was accepted before a stop is played, nothing left`, async () => {
  const plan = new Map<string, { moment: Moment; verb: 'stop' | 'cancel' }>();
  const missed = new Set<string>();
  const of = await fleet({ workers: 0 });
  const ask = async (moment: Moment, id: string): Promise<void> => {
    if (plan.get(id)?.moment !== moment || !missed.delete(id)) return;
    expect(await of.verb(id, plan.get(id)?.verb ?? 'stop')).toBe(202);
  };
  const owner = await of.addWorker({}, (parts) => withMoments(parts, ask));
  const wanted = moments.flatMap((moment) =>
    (['stop', 'cancel'] as const).flatMap((verb) => Array.from({ length: perMoment }, () => ({ moment, verb }))),
  );
  const ids = await live(of, wanted.length);
  for (const [index, id] of ids.entries()) {
    plan.set(id, wanted[index] ?? { moment: 'offered', verb: 'stop' });
    missed.add(id);
    await speak(of, id, countedSound(7_000));
  }
  for (let n = 0; n < 8; n += 1) await of.addWorker({}, (parts) => withMoments(parts, ask));
  await owner.stop(60_000);
  await expect.poll(() => of.open(), { ...SOON, timeout: 30_000 }).toEqual([]);
  expect([...missed].map((id) => plan.get(id)?.moment)).toEqual([]);
  for (const id of ids) {
    const { moment, verb } = plan.get(id) ?? {};
    const { endReason, counters } = await of.view(id);
    expect([moment, verb, endReason]).toEqual([moment, verb, verb === 'stop' ? 'stopped' : 'canceled']);
    const playedMs = Math.round(counters.playedMs);
    expect([moment, verb, playedMs]).toEqual([moment, verb, verb === 'stop' ? 7_000 : playedMs]);
    expect(await eventsOf(of, id, 'ended')).toHaveLength(1);
    expect(await eventsOf(of, id, 'takeover')).toEqual([]);
  }
  const { made, stale } = of.judge();
  expect([...new Set(made.values())]).toEqual([1]);
  expect(stale).toEqual([]);
}, 120_000);
