// The way of one piece of speech: from a backend's XADD to the page's socket having it, in an utterance that plays already.
// Compared with a reader that does nothing, turn by turn on the same Redis, so that what the machine does meanwhile meets both.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { startRedis } from '@tavus-fleet/testkit';
import type { BenchOptions } from './harness/bench.ts';
import { median, round } from './harness/quantiles.ts';
import { nextMessage, type FromConsumer, type Round, type ToConsumer } from './hop/messages.ts';

const CONVERSATIONS = [1, 50];
const WARM_SECONDS = 1;
const GOALS = { p50Ratio: 2, p99Ratio: 3 };
const SIDES = ['bare', 'worker'] as const;
type Side = (typeof SIDES)[number];
type Pair = Readonly<Record<Side, Round>>;

export const about =
  'XADD → page socket for 1 and 50 conversations, against a bare XREAD; p50 and p99 (--profile writes .cpuprofile files)';

export async function run(options: BenchOptions): Promise<object> {
  const { quick, signal } = options;
  const plan = quick ? { pairs: 2, seconds: 2 } : { pairs: 5, seconds: 4 };
  const redis = await startRedis({}, signal);
  const results: Record<string, object> = {};
  try {
    for (const conversations of CONVERSATIONS)
      results[`n${conversations}`] = await compare(redis.url, conversations, plan, options);
  } finally {
    await redis.stop();
  }
  return { goals: GOALS, ...plan, ...results };
}

async function compare(
  url: string,
  conversations: number,
  plan: { pairs: number; seconds: number },
  options: BenchOptions,
): Promise<object> {
  await using held = new AsyncDisposableStack();
  const prefix = (side: Side): string => `hop${conversations}${side}`;
  const start = async (side: Side): Promise<ChildProcess> => {
    const child = held.adopt(startConsumer(side, options), end);
    child.send({ type: 'start', side, url, prefix: prefix(side), conversations } satisfies ToConsumer);
    await nextMessage(child);
    return child;
  };
  const consumers = { bare: await start('bare'), worker: await start('worker') };
  const measure = async (side: Side, seconds: number): Promise<Round> => {
    consumers[side].send({ type: 'reset' } satisfies ToConsumer);
    await produce([url, prefix(side), String(conversations), String(seconds), String(WARM_SECONDS)], options.signal);
    await pause(200, undefined, { signal: options.signal }); // the last entries are on their way
    consumers[side].send({ type: 'collect' } satisfies ToConsumer);
    const answer = (await nextMessage(consumers[side])) as FromConsumer; // our own child wrote it
    if (answer.type !== 'round') throw new Error('A consumer answered out of turn.');
    return answer.round;
  };
  for (const side of SIDES) await measure(side, 2); // not counted: code is compiled, connections are warm
  const pairs: Pair[] = [];
  for (let index = 0; index < plan.pairs; index += 1) {
    const [first, second] = index % 2 === 0 ? (['bare', 'worker'] as const) : (['worker', 'bare'] as const);
    const rounds = { [first]: await measure(first, plan.seconds), [second]: await measure(second, plan.seconds) };
    const pair = rounds as Pair; // both sides were just measured
    pairs.push(pair);
    options.say(
      `N=${conversations} pair ${index + 1}: p50 ${pair.bare.p50Us} → ${pair.worker.p50Us} µs (${ratio(pair, 'p50Us')}), p99 ${pair.bare.p99Us} → ${pair.worker.p99Us} µs (${ratio(pair, 'p99Us')}), CPU per entry ${pair.bare.cpuPerEntryUs} → ${pair.worker.cpuPerEntryUs} µs`,
    );
  }
  const summary = summarize(pairs);
  options.say(
    `N=${conversations} medians of ${pairs.length} pairs: p50 ratio ${summary.p50Ratio} (goal ${GOALS.p50Ratio}), p99 ratio ${summary.p99Ratio} (goal ${GOALS.p99Ratio})`,
  );
  return { ...summary, pairs };
}

const ratio = (pair: Pair, of: 'p50Us' | 'p99Us'): number => round(pair.worker[of] / pair.bare[of], 2);

function summarize(pairs: readonly Pair[]): {
  p50Ratio: number;
  p99Ratio: number;
  bare: object;
  worker: object;
  reached: boolean;
} {
  const of = (side: Side): object => ({
    p50Us: median(pairs.map((pair) => pair[side].p50Us)),
    p99Us: median(pairs.map((pair) => pair[side].p99Us)),
    cpuPerEntryUs: median(pairs.map((pair) => pair[side].cpuPerEntryUs)),
  });
  const p50Ratio = median(pairs.map((pair) => ratio(pair, 'p50Us')));
  const p99Ratio = median(pairs.map((pair) => ratio(pair, 'p99Us')));
  return {
    p50Ratio,
    p99Ratio,
    bare: of('bare'),
    worker: of('worker'),
    reached: p50Ratio <= GOALS.p50Ratio && p99Ratio <= GOALS.p99Ratio,
  };
}

function startConsumer(side: Side, { flags }: BenchOptions): ChildProcess {
  const execArgv = flags.has('profile') && side === 'worker' ? ['--cpu-prof', '--cpu-prof-dir=.cache/bench'] : [];
  return fork(new URL('./hop/consumer.ts', import.meta.url), { execArgv });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.disconnect();
  await gone;
}

async function produce(args: readonly string[], signal: AbortSignal): Promise<void> {
  const file = fileURLToPath(new URL('./hop/producer.ts', import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { stdio: 'inherit', signal });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`The producer ended with ${code}.`);
}
