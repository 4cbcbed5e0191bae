// Redis is paused, stopped, or cut off without a word, under conversations on real media that speak just then. Nobody is thrown out and
// no process restarts: what was accepted is heard whole, pictures go on; when Redis is back everything is done again within seconds, by
// the same owners, and what was accepted before it went becomes live. FULL=1: five conversations, each outage five times.
import { setTimeout as pause } from 'node:timers/promises';
import { SilentProxy, startRedis, type Listener, type RedisServer } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import type { Conversation } from '../../e2e/fixtures/caller.ts';
import { boundsMs, figures, judge } from '../../e2e/fixtures/judge.ts';
import { Producer, RATE } from '../../e2e/fixtures/producer.ts';
import { eventually, joinRoom, untilPictures } from '../../e2e/fixtures/users.ts';
import { World } from '../../e2e/fixtures/world.ts';
import { quantile } from '../../bench/harness/quantiles.ts';
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

type Outage = {
  readonly forMs: number;
  begin(redis: RedisServer, way: SilentProxy): Promise<void> | void;
  end(redis: RedisServer, way: SilentProxy): Promise<void> | void;
};
const seconds = (full: number, short: number): number => (FULL ? full : short) * 1_000;
const outages: Readonly<Record<string, Outage>> = {
  paused: { forMs: seconds(3, 3), begin: (redis) => redis.pause(), end: (redis) => redis.resume() },
  stopped: { forMs: seconds(20, 8), begin: (redis) => redis.kill(), end: (redis) => redis.restart() },
  'cut off': { forMs: seconds(30, 8), begin: (_, way) => way.cut(), end: (_, way) => way.mend() },
};

type Round = {
  /** From Redis being back to an accepted start, and to the leases of all. */ readonly startMs: number;
  readonly leasedMs: number;
  /** The longest time without a new picture, of the user who watches. */ readonly stillMs: number;
  /** Longest part of what was said that a replica did not get. */ readonly missingMs: number;
};

let held: AsyncDisposableStack;
let redis: RedisServer;
let way: SilentProxy;
let world: World;
/** Past the way that is cut: a backend of its own, and our eyes, which look again at once. */
let producer: Producer;
let eyes: Redis;
const found = new Map<string, Round[]>();

beforeEach(async () => {
  held = new AsyncDisposableStack();
  redis = held.adopt(await startRedis({ appendOnly: true }), (server) => server.stop());
  way = held.use(await SilentProxy.start(redis.port));
  eyes = held.adopt(new Redis(redis.url, { retryStrategy: () => 50 }), (it) => it.disconnect());
  eyes.on('error', () => undefined); // it is taken away on purpose
  producer = held.adopt(new Producer(redis.url), (it) => it.close());
  world = held.use(await World.start({ WORKER_MAX_SESSIONS: String(COUNT + 1) }, 2, way.url));
});
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
  `Redis is %s under ${COUNT} conversations that speak`,
  async (name, outage) => {
    const parties = await Promise.all(Array.from({ length: COUNT }, (_, index) => meet(index)));
    const [watched] = parties;
    if (!watched?.user) throw new Error('Somebody watches.');
    await untilPictures(watched.user, 5);
    const before = await Promise.all(parties.map(({ conversation }) => conversation.view()));
    const processes = [world.stack.api, ...world.stack.workers];
    const ended: string[] = [];
    for (const each of processes) void each.exited.then((how) => ended.push(`${each.name} ${how}`));
    const rounds: Round[] = [];
    const recordings = (): Promise<Int16Array[]> =>
      Promise.all(before.map(({ tavusConversationId = '' }) => world.sim.heard(tavusConversationId)));

    for (let round = 0; round < ROUNDS; round += 1) {
      await watched.user.forget(AbortSignal.timeout(15_000));
      const fromMs = Date.now();
      const recordedBefore = (await recordings()).map(({ length }) => length);
      const sent = parties.map((_, index) => chirpWalk({ rate: RATE, ms: SPEECH_MS, seed: 700 + round * 10 + index }));
      await Promise.all(
        parties.map(({ conversation }, at) => producer.say(conversation.id, sent[at] ?? new Int16Array(0), 'burst')),
      );
      const playing = async (): Promise<boolean> =>
        (await Promise.all(parties.map(({ conversation }) => conversation.view()))).every(
          ({ counters }, at) =>
            (counters['playedMs'] ?? 0) > (before[at]?.counters['playedMs'] ?? 0) + round * (SPEECH_MS + AFTER_MS),
        );
      await eventually('all speak', playing, 10_000);
      const late = await world.caller.start({}); // accepted, and then Redis goes
      await outage.begin(redis, way);
      await pause(outage.forMs); // waits: the time in which Redis is away is what is tested
      expect(ended).toEqual([]);
      await outage.end(redis, way);
      const backAtMs = Date.now();
      await eventually('a start is accepted', async () => (await start()) === 202, 20_000);
      const startMs = Date.now() - backAtMs;
      const leased = async (): Promise<boolean> =>
        (await Promise.all(parties.map(({ conversation: { id } }) => lease(id)))).every((it) => it !== null);
      await eventually('the owners have their leases', leased, 20_000);
      const leasedMs = Date.now() - backAtMs;
      const again = parties.map((_, index) => chirpWalk({ rate: RATE, ms: AFTER_MS, seed: 750 + round * 10 + index }));
      await Promise.all(
        parties.map(({ conversation }, at) => producer.say(conversation.id, again[at] ?? new Int16Array(0), 'burst')),
      );
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

const lease = (id: string): Promise<string | null> => eyes.get(`fleet:{${id}}:lease`).catch(() => null);

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
        `| ${name} for ${(outages[name]?.forMs ?? 0) / 1_000} s | ${most(rounds, 'startMs')} | ${most(rounds, 'leasedMs')} | ${most(rounds, 'stillMs')} | ${most(rounds, 'missingMs')} |`,
    ),
    '',
    'Processes ended: 0. Takeovers: 0. Epochs raised: 0. Frames dropped: 0. Starts accepted just before: all live afterwards. Left open at Tavus: 0.',
  ]);
}
