// Redis is paused, stopped, cut off without a word, or loses a master, under conversations on real media that speak just then. Nobody is
// thrown out and no process restarts: what was accepted is heard whole, pictures go on; when Redis is back everything is done again within
// seconds, by the same owners, and what was accepted before it went becomes live. FULL=1: five conversations, each outage five times.
import { connectRedis, silentLog } from '@tavus-fleet/redis';
import type { Listener } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import type { Conversation } from '../../e2e/fixtures/caller.ts';
import { boundsMs, figures, judge } from '../../e2e/fixtures/judge.ts';
import { Producer, RATE } from '../../e2e/fixtures/producer.ts';
import { eventually, joinRoom, untilPictures } from '../../e2e/fixtures/users.ts';
import { World } from '../../e2e/fixtures/world.ts';
import { quantile } from '../../bench/harness/quantiles.ts';
import {
  clusterMasterKilled,
  cutOffFor,
  pausedFor,
  sentinelFailover,
  stoppedFor,
  type OpenOutage,
  type Outage,
} from '../fixtures/outages.ts';
import { report, today } from '../fixtures/report.ts';

const FULL = process.env['FULL'] === '1';
const ROUNDS = FULL ? 5 : 1;
/** Five with their replicas take most of two cores: on a machine that others use too, three. */
const COUNT = process.env['CI'] ? 3 : 5;
/** What is said just before (all of it is in the page when Redis goes), and after it. */
const SPEECH_MS = 6_000;
const AFTER_MS = 1_500;
const BACK_MS = 3_000 * (process.env['CI'] ? 2 : 1);
/** Of pictures that came one after the other. */
const STILL_MS = 2_000;

const seconds = (full: number, short: number): number => (FULL ? full : short) * 1_000;
const [stoppedMs, cutOffMs] = [seconds(20, 8), seconds(30, 8)];
/** Of masters: with fake rooms also in every run, see topologies.test.ts. */
const masters: Readonly<Record<string, OpenOutage>> = {
  'a new master of Sentinel': sentinelFailover,
  'a new master in a Cluster': clusterMasterKilled('{fleet}'),
};
const outages: Readonly<Record<string, OpenOutage>> = {
  'paused for 3 s': pausedFor(3_000),
  [`stopped for ${stoppedMs / 1_000} s`]: stoppedFor(stoppedMs),
  [`cut off for ${cutOffMs / 1_000} s`]: cutOffFor(cutOffMs),
  ...(FULL ? masters : {}),
};

type Round = {
  /** From Redis being back to an accepted start, and to the leases of all. */ readonly startMs: number;
  readonly leasedMs: number;
  /** The longest time without a new picture, of the user who watches. */ readonly stillMs: number;
  /** Longest part of what was said that a replica did not get. */ readonly missingMs: number;
};

let held: AsyncDisposableStack;
let outage: Outage;
let world: World;
const found = new Map<string, Round[]>();

beforeEach(() => void (held = new AsyncDisposableStack()));
afterEach(() => held?.disposeAsync());

async function meet(index: number): Promise<{ conversation: Conversation; user: Listener | undefined }> {
  const room = `away-${index}`;
  const user = index === 0 ? await joinRoom(world.users, world.sim.url, room) : undefined;
  const conversation = await world.caller.start({
    output: { room: { url: `${world.sim.url}/rooms/${room}` } },
    limits: { emptyRoomSeconds: 3_600 },
  });
  await conversation.untilState('live', 60_000);
  return { conversation, user };
}

const start = async (): Promise<number> => {
  const response = await world.caller.ask('POST', '/v1/conversations', { replicaId: 'r-test' }).catch(() => undefined);
  if (response?.status === 202) {
    const { conversationId } = z.object({ conversationId: z.string() }).parse(await response.json());
    await world.caller.ask('POST', `/v1/conversations/${conversationId}/cancel`);
  }
  return response?.status ?? 0;
};

it.each(Object.entries(outages))(
  `Redis: %s, under ${COUNT} conversations that speak`,
  async (name, open) => {
    outage = await open(held);
    world = held.use(await World.start({ WORKER_MAX_SESSIONS: String(COUNT + 1) }, 2, outage.url));
    const parties = await Promise.all(Array.from({ length: COUNT }, (_, index) => meet(index)));
    const [watched] = parties;
    if (!watched?.user) throw new Error('Somebody watches.');
    await untilPictures(watched.user, 5);
    const before = await Promise.all(parties.map(({ conversation }) => conversation.view()));
    const processes = [world.stack.api, ...world.stack.workers];
    const ended: string[] = [];
    for (const each of processes) void each.exited.then((how) => ended.push(`${each.name} ${how}`));
    const rounds: Round[] = [];
    const sayAll = async (speech: readonly Int16Array[]): Promise<void> => {
      const producer = new Producer(outage.pastUrl);
      await Promise.all(
        parties.map(({ conversation: { id } }, at) => producer.say(id, speech[at] ?? new Int16Array(0), 'burst')),
      ).finally(() => producer.close());
    };
    const recordings = (): Promise<Int16Array[]> =>
      Promise.all(before.map(({ tavusConversationId = '' }) => world.sim.heard(tavusConversationId)));

    for (let round = 0; round < ROUNDS; round += 1) {
      await watched.user.forget(AbortSignal.timeout(15_000));
      const fromMs = Date.now();
      const recordedBefore = (await recordings()).map(({ length }) => length);
      const sent = parties.map((_, index) => chirpWalk({ rate: RATE, ms: SPEECH_MS, seed: 700 + round * 10 + index }));
      await sayAll(sent);
      const playing = async (): Promise<boolean> =>
        (await Promise.all(parties.map(({ conversation }) => conversation.view()))).every(
          ({ counters }, at) =>
            (counters['playedMs'] ?? 0) > (before[at]?.counters['playedMs'] ?? 0) + round * (SPEECH_MS + AFTER_MS),
        );
      await eventually('all speak', playing, 10_000);
      const late = await world.caller.start({}); // accepted, and then Redis goes
      await outage.strike();
      expect(ended).toEqual([]);
      const backAtMs = Date.now();
      await eventually('a start is accepted', async () => (await start()) === 202, 20_000);
      const startMs = Date.now() - backAtMs;
      await eventually('the owners have their leases', leases(parties.map(({ conversation: { id } }) => id)), 20_000);
      const leasedMs = Date.now() - backAtMs;
      const again = parties.map((_, index) => chirpWalk({ rate: RATE, ms: AFTER_MS, seed: 750 + round * 10 + index }));
      await sayAll(again);
      await late.untilState('live', 30_000);
      await late.post('cancel');
      await late.untilEnded();

      const said = async (): Promise<boolean> =>
        (await Promise.all(parties.map(({ conversation }) => conversation.view()))).every(
          ({ counters }, at) =>
            (counters['playedMs'] ?? 0) >=
            (before[at]?.counters['playedMs'] ?? 0) + (round + 1) * (SPEECH_MS + AFTER_MS) - 100,
        );
      await eventually('everything was said', said, 20_000);
      const { pictures } = await watched.user.report(AbortSignal.timeout(15_000));
      const times = pictures.filter(({ atMs }) => atMs >= fromMs).map(({ atMs }) => atMs);
      const gaps = times.map((at, n) => at - (times[n - 1] ?? fromMs));
      const recorded = await recordings();
      const judged = recorded.map((heard, at) => {
        const said = [...(sent[at] ?? []), ...(again[at] ?? [])];
        return judge(Int16Array.from(said), heard.subarray(recordedBefore[at]));
      });
      rounds.push({
        startMs,
        leasedMs,
        stillMs: Math.round(Math.max(...gaps)),
        missingMs: Math.max(...judged.map(({ longestMissingMs }) => longestMissingMs)),
      });
      figures(`redis ${name}`, { ...rounds.at(-1), pictures: times.length });
      await outage.restore();
    }

    const after = await Promise.all(parties.map(({ conversation }) => conversation.view()));
    expect(
      after.map(({ state, epoch, workerId, tavusConversationId }) => [state, epoch, workerId, tavusConversationId]),
    ).toEqual(before.map(({ workerId, tavusConversationId }) => ['live', 1, workerId, tavusConversationId]));
    for (const { conversation } of parties) {
      expect(conversation.of('takeover')).toEqual([]);
      expect(conversation.of('frames-dropped')).toEqual([]);
      await conversation.post('stop');
      expect(await conversation.untilEnded()).toBe('stopped');
    }
    await eventually('all ended', async () => (await world.sim.state()).billing.unended.length === 0, 15_000);
    expect(ended).toEqual([]);
    for (const each of rounds) {
      expect(each.missingMs).toBeLessThanOrEqual(2 * boundsMs.missing);
      expect(each.stillMs).toBeLessThan(STILL_MS);
      expect(Math.max(each.startMs, each.leasedMs)).toBeLessThan(BACK_MS);
    }
    found.set(name, rounds);
    if (found.size === Object.keys(outages).length) tell();
  },
  120_000 + ROUNDS * 90_000,
);

/** Whether all of these are leased, seen over a connection of its own that has been through nothing. */
const leases = (ids: readonly string[]) => async (): Promise<boolean> => {
  const eyes = connectRedis(outage.pastUrl, { role: 'commands', name: 'eyes', log: silentLog });
  const seen = Promise.all(ids.map((id) => eyes.get(`fleet:{${id}}:lease`).catch(() => null)));
  return (await seen.finally(() => eyes.disconnect())).every((it) => it !== null);
};

function tell(): void {
  const most = (rounds: readonly Round[], of: keyof Round): string => {
    const values = rounds.map((round) => round[of]);
    return `${quantile(values, 0.5)} / ${Math.max(...values)}`;
  };
  report('redis-away', 'Redis away under live conversations', [
    `${today()}, \`FULL=1 npx vitest run --project faults-live test/faults/live/redis-away.test.ts\`: ${COUNT} conversations on real media (320x180 at 10 fps, one`,
    `with a user who watches), two workers, each outage ${ROUNDS} times, six seconds of speech begun before it, and some after it. Median / most, ms.`,
    '',
    '| Redis | back to a start that is accepted | back to all leases | without a new picture | of the speech not heard at a stretch |',
    '|---|---|---|---|---|',
    ...[...found].map(
      ([name, rounds]) =>
        `| ${name} | ${most(rounds, 'startMs')} | ${most(rounds, 'leasedMs')} | ${most(rounds, 'stillMs')} | ${most(rounds, 'missingMs')} |`,
    ),
    '',
    'Processes ended: 0. Takeovers: 0. Epochs raised: 0. Frames dropped: 0. Starts accepted just before: all live afterwards. Left open at Tavus: 0.',
  ]);
}
