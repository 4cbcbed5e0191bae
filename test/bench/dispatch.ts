// From adding a start job until a worker owns the conversation (lease, epoch, nonce), against a plain BullMQ job that does nothing, turn by
// turn on one Redis. One at a time, to workers that are idle: what is measured is the way, not the queue in front of it.
import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { jobOptions, StartRequest } from '@tavus-fleet/contracts';
import { connectRedis, createKeys, Queues, Records, silentLog, type RedisConnection } from '@tavus-fleet/redis';
import { BareSimulator } from '@tavus-fleet/simulator/bare';
import { startRedis } from '@tavus-fleet/testkit';
import type { FromConsumer } from './dispatch/messages.ts';
import type { BenchOptions } from './harness/bench.ts';
import { median, quantile, round } from './harness/quantiles.ts';
import { nowUs } from './hop/clock.ts';
import { nextMessage } from './hop/messages.ts';

export const about =
  'enqueue → claimed, against a bare BullMQ job in the same run; p50 and p99 (--profile writes .cpuprofile files)';

const GOAL = { ratio: 2 };
const WARM = 50;
/** The job before is over, but not yet all that is written about it; both sides wait, so both are as cold. */
const SETTLE_MS = 15;
const SIDES = ['bare', 'fleet'] as const;
type Side = (typeof SIDES)[number];
type Figures = { readonly p50: number; readonly p99: number; readonly fetchedP50: number };
type Pair = Readonly<Record<Side, Figures>>;

export async function run(options: BenchOptions): Promise<object> {
  const { quick, signal, say } = options;
  const plan = quick ? { pairs: 3, jobs: 100 } : { pairs: 9, jobs: 200 };
  await using held = new AsyncDisposableStack();
  const server = await startRedis({}, signal);
  held.defer(() => server.stop());
  const tavus = held.use(await BareSimulator.start());
  const sides = { bare: await open('bare'), fleet: await open('fleet') };
  async function open(side: Side): Promise<SideOf> {
    const one = new SideOf(side, server.url, tavus.url, options);
    held.defer(() => one.close());
    await one.ready();
    return one;
  }
  for (const side of SIDES) await sides[side].measure(WARM, signal); // not counted: code is compiled, connections are warm
  const pairs: Pair[] = [];
  for (let n = 0; n < plan.pairs; n += 1) {
    const both: Partial<Record<Side, Figures>> = {};
    // First and second of a pair change places, so that what the machine does meanwhile meets both.
    for (const side of n % 2 === 0 ? SIDES : SIDES.toReversed())
      both[side] = await sides[side].measure(plan.jobs, signal);
    const pair = both as Pair; // safe: both sides were measured
    pairs.push(pair);
    say(
      `pair ${n + 1}: bare ${text(pair.bare)}, fleet ${text(pair.fleet)}, ratio ${ratio(pair, 'p50')} / ${ratio(pair, 'p99')}`,
    );
  }
  const of = (side: Side, what: keyof Figures): number =>
    round(median(pairs.map((pair) => pair[side][what])) / 1_000, 2);
  const ratios = (what: 'p50' | 'p99'): number =>
    round(median(pairs.map((pair) => pair.fleet[what] / pair.bare[what])), 2);
  const figures = {
    bareMs: { p50: of('bare', 'p50'), p99: of('bare', 'p99') },
    fleetMs: { p50: of('fleet', 'p50'), p99: of('fleet', 'p99'), inHandP50: of('fleet', 'fetchedP50') },
    ratio: { p50: ratios('p50'), p99: ratios('p99') },
  };
  say(`medians of ${plan.pairs} pairs of ${plan.jobs} jobs: ${JSON.stringify(figures)}`);
  return { ...plan, ...figures, goal: GOAL, unended: tavus.unended.length };
}

const text = ({ p50, p99 }: Figures): string => `${round(p50 / 1_000, 2)} / ${round(p99 / 1_000, 2)} ms`;
const ratio = (pair: Pair, what: 'p50' | 'p99'): number => round(pair.fleet[what] / pair.bare[what], 2);

/** One consumer in its process, and the same way of adding a job for both. */
class SideOf {
  readonly #side: Side;
  readonly #child: ChildProcess;
  readonly #redis: RedisConnection;
  readonly #records: Records;
  readonly #queues: Queues;

  constructor(side: Side, redisUrl: string, tavusUrl: string, { env, flags }: BenchOptions) {
    const keyPrefix = `dispatch-${side}`;
    this.#side = side;
    this.#redis = connectRedis(redisUrl, { role: 'commands', name: 'bench', log: silentLog });
    this.#records = new Records(this.#redis, createKeys(keyPrefix));
    this.#queues = new Queues(redisUrl, keyPrefix);
    this.#child = fork(fileURLToPath(new URL('./dispatch/consumer.ts', import.meta.url)), [side], {
      execArgv: flags.has('profile') ? ['--cpu-prof', '--cpu-prof-dir=.cache/bench'] : [],
      env: {
        ...env,
        REDIS_URL: redisUrl,
        KEY_PREFIX: keyPrefix,
        FLEET_ID: 'bench',
        TAVUS_BASE_URL: tavusUrl,
        TAVUS_MAX_CONCURRENT: '1000',
        WORKER_MAX_SESSIONS: '10',
      },
    });
  }

  async ready(): Promise<void> {
    await nextMessage(this.#child);
  }

  /** So many jobs, one after the other; microseconds from before the job is added. */
  async measure(jobs: number, signal: AbortSignal): Promise<Figures> {
    const claimed: number[] = [];
    const fetched: number[] = [];
    for (let n = 0; n < jobs; n += 1) {
      signal.throwIfAborted();
      const conversationId = randomUUID();
      // Record first: the job is its wake-up. What writing it costs is a start's, not the dispatch's.
      if (this.#side === 'fleet') await this.#records.create({ request: REQUEST, createdBy: 'bench', conversationId });
      await pause(SETTLE_MS, undefined, { signal });
      const answer = nextMessage(this.#child);
      const addedUs = nowUs();
      await this.#queues.sessions.add('start', { v: 1, conversationId }, jobOptions('start', conversationId));
      const message = (await answer) as FromConsumer; // our own child wrote it
      if (message.type !== 'claimed') throw new Error('A consumer answered out of turn.');
      claimed.push(message.claimedUs - addedUs);
      fetched.push(message.fetchedUs - addedUs);
    }
    return { p50: quantile(claimed, 0.5), p99: quantile(claimed, 0.99), fetchedP50: quantile(fetched, 0.5) };
  }

  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#queues.close();
    this.#redis.disconnect();
  }
}

const REQUEST = StartRequest.parse({ replicaId: 'r1' });
