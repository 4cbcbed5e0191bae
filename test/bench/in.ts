// The two ways in that cost the api something: a start, from POST to its 202, and speech, from a WebSocket message to the entry that a
// worker sees. Each against what one would write in an afternoon, turn by turn on one Redis.
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { startRedis, startService, type ServiceProcess } from '@tavus-fleet/testkit';
import type { BenchOptions } from './harness/bench.ts';
import { median, round } from './harness/quantiles.ts';
import { acceptsPerSecond } from './in/accepts.ts';
import { socketHop, type Hop } from './in/socket-hop.ts';

const KEY = 'bench';
const CONNECTIONS = 16;
const PRODUCERS = [1, 20];
const SIDES = ['bare', 'api'] as const;
type Side = (typeof SIDES)[number];
type Servers = Readonly<Record<Side, ServiceProcess>>;

export const about = 'starts accepted a second against plain fastify + queue.add; WebSocket → XADD against plain ws';

export async function run(options: BenchOptions): Promise<object> {
  const { quick, signal, env } = options;
  const plan = quick ? { pairs: 2, seconds: 2 } : { pairs: 5, seconds: 5 };
  const redis = await startRedis({}, signal);
  await using held = new AsyncDisposableStack();
  held.defer(() => redis.stop());
  const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
  const start = async (name: Side, main: string, own: Record<string, string>): Promise<ServiceProcess> => {
    const service = await startService(
      { name, main: file(main), env: { ...env, REDIS_URL: redis.url, ...own } },
      signal,
    );
    held.defer(async () => void (await service.stop()));
    return service;
  };
  const servers = {
    bare: await start('bare', './in/bare.ts', {}),
    api: await start('api', '../../services/api/src/main.ts', {
      API_KEYS: `bench:${createHash('sha256').update(KEY).digest('hex')}`,
      API_PORT: '0',
      TAVUS_BASE_URL: 'http://127.0.0.1:9',
      LOG_LEVEL: 'info',
    }),
  };
  const accepts = await compareAccepts(servers, plan, options);
  const hops: Record<string, object> = {};
  for (const producers of PRODUCERS)
    hops[`n${producers}`] = await compareHops(servers, redis.url, producers, plan, options);
  return { ...plan, accepts, hops };
}

type Plan = { readonly pairs: number; readonly seconds: number };
const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
/** First and second of a pair change places, so that what the machine does meanwhile meets both. */
const order = (pair: number): readonly Side[] => (pair % 2 === 0 ? SIDES : SIDES.toReversed());

async function compareAccepts(
  servers: Servers,
  { pairs, seconds }: Plan,
  { say, signal }: BenchOptions,
): Promise<object> {
  const measure = (side: Side, forSeconds: number): Promise<number> =>
    acceptsPerSecond({ url: servers[side].url, headers, connections: CONNECTIONS, seconds: forSeconds, signal });
  for (const side of SIDES) await measure(side, 1); // not counted: code is compiled, connections are warm
  const rounds: Record<Side, number>[] = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    const both = { bare: 0, api: 0 };
    for (const side of order(pair)) both[side] = await measure(side, seconds);
    rounds.push(both);
    say(
      `accepts pair ${pair + 1}: bare ${round(both.bare, 0)}/s, api ${round(both.api, 0)}/s (${round(both.api / both.bare, 2)})`,
    );
  }
  const ratio = round(median(rounds.map(({ bare, api }) => api / bare)), 2);
  const of = (side: Side): number => round(median(rounds.map((both) => both[side])), 0);
  say(`accepts: median ratio ${ratio}, bare ${of('bare')}/s, api ${of('api')}/s`);
  return { ratio, barePerSecond: of('bare'), apiPerSecond: of('api') };
}

async function compareHops(
  servers: Servers,
  redisUrl: string,
  producers: number,
  { pairs, seconds }: Plan,
  { say, signal }: BenchOptions,
): Promise<object> {
  const measure = (side: Side, forSeconds: number): Promise<Hop> =>
    socketHop({ url: servers[side].url, headers, redisUrl, producers, seconds: forSeconds, signal });
  for (const side of SIDES) await measure(side, 1);
  const rounds: Record<Side, Hop>[] = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    const both: Partial<Record<Side, Hop>> = {};
    for (const side of order(pair)) both[side] = await measure(side, seconds);
    const { bare, api } = both;
    if (!bare || !api) throw new Error('A side was not measured.');
    rounds.push({ bare, api });
    say(
      `hop N=${producers} pair ${pair + 1}: p50 ${bare.p50Us} → ${api.p50Us} µs (${round(api.p50Us / bare.p50Us, 2)}), p99 ${bare.p99Us} → ${api.p99Us} µs (${round(api.p99Us / bare.p99Us, 2)})`,
    );
  }
  const ratio = (of: keyof Hop): number => round(median(rounds.map(({ bare, api }) => api[of] / bare[of])), 2);
  const of = (side: Side): object => ({
    p50Us: median(rounds.map((both) => both[side].p50Us)),
    p99Us: median(rounds.map((both) => both[side].p99Us)),
  });
  say(`hop N=${producers}: median ratio p50 ${ratio('p50Us')}, p99 ${ratio('p99Us')}`);
  return { p50Ratio: ratio('p50Us'), p99Ratio: ratio('p99Us'), bare: of('bare'), api: of('api') };
}
