// What an output stream costs: CPU of the worker, of its browser and of Redis, and bytes, beside the same conversation without outputs. One
// conversation at a time, turn by turn; the difference to the baseline of the same round counts, and its median over the rounds.
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { conversationKeys } from '@tavus-fleet/contracts';
import { connectRedis, silentLog, type RedisConnection } from '@tavus-fleet/redis';
import { Listeners, Stack, type Listener } from '@tavus-fleet/testkit';
import { Conversations } from './density/conversations.ts';
import { browsersOf, cpuSeconds } from './density/processes.ts';
import type { BenchOptions } from './harness/bench.ts';
import { cpuShares, cpuTimes } from './harness/machine.ts';
import { median, round } from './harness/quantiles.ts';

export const about = 'CPU and bytes per session-minute of each output format, 640x360@24 and 1280x720@25, beside none';

const PICTURES = [
  { size: { width: 640, height: 360 }, fps: 24 },
  { size: { width: 1280, height: 720 }, fps: 25 },
] as const;
const SETTLE_MS = 3_000;
/** Not counted: code is compiled while it runs for the first times, and costs twice as much. */
const WARM_MS = 1_000;
const VOICE_RATE = 24_000;

type Format = {
  readonly output: object;
  readonly audio?: object;
  /** A user who speaks all the time sits in a user room. */
  readonly user?: true;
  readonly stream?: 'audio' | 'video' | 'userAudio';
  /** What it is compared with; itself is a baseline without. */
  readonly beside?: string;
};
const formats: Readonly<Record<string, Format>> = {
  none: { output: {} },
  'audio 24 kHz': { output: { streams: { audio: true } }, stream: 'audio', beside: 'none' },
  'audio 16 kHz': {
    output: { streams: { audio: true } },
    audio: { sampleRate: 16_000 },
    stream: 'audio',
    beside: 'none',
  },
  'audio 48 kHz': {
    output: { streams: { audio: true } },
    audio: { sampleRate: 48_000 },
    stream: 'audio',
    beside: 'none',
  },
  'video jpeg, 5 fps': { output: { streams: { video: { format: 'jpeg' } } }, stream: 'video', beside: 'none' },
  'video encoded': { output: { streams: { video: { format: 'encoded' } } }, stream: 'video', beside: 'none' },
  'user room, a user speaks': { output: {}, user: true },
  'user audio': { output: { userAudio: true }, user: true, stream: 'userAudio', beside: 'user room, a user speaks' },
};

/** CPU seconds and megabytes per session-minute. */
type Cost = { readonly worker: number; readonly browser: number; readonly redis: number; readonly megabytes: number };
const parts = ['worker', 'browser', 'redis', 'megabytes'] as const;

export async function run({ quick, env, signal, say }: BenchOptions): Promise<object> {
  const plan = quick ? { rounds: 1, windowMs: 5_000 } : { rounds: 3, windowMs: 8_000 };
  const results: Record<string, object> = {};
  for (const picture of PICTURES) {
    await using scene = await Scene.open(picture, { env, signal });
    const costs = new Map<string, Cost[]>(Object.keys(formats).map((name) => [name, []]));
    const busy: number[] = [];
    for (const format of Object.values(formats)) await scene.measure(format, WARM_MS, signal);
    for (let n = 0; n < plan.rounds; n += 1) {
      const order = Object.entries(formats);
      for (const [name, format] of n % 2 === 0 ? order : order.toReversed()) {
        const { cost, busyPercent } = await scene.measure(format, plan.windowMs, signal);
        costs.get(name)?.push(cost);
        busy.push(busyPercent);
      }
    }
    const { size, fps } = picture;
    const title = `${size.width}x${size.height}@${fps}`;
    results[title] = { busiestPercent: Math.max(...busy), ...tell(title, costs, say) };
  }
  return { ...plan, cost: 'CPU seconds and MB per session-minute; more: than the baseline of its round', ...results };
}

function tell(title: string, costs: ReadonlyMap<string, readonly Cost[]>, say: (line: string) => void): object {
  const told: Record<string, object> = {};
  for (const [name, { beside }] of Object.entries(formats)) {
    const own = costs.get(name) ?? [];
    const base = costs.get(beside ?? '') ?? [];
    const of = (part: keyof Cost): number => round(median(own.map((cost) => cost[part])), 2);
    const more = (part: keyof Cost): number =>
      round(median(own.map((cost, at) => cost[part] - (base[at]?.[part] ?? 0))), 2);
    const all = Object.fromEntries(parts.map((part) => [part, of(part)]));
    const added = Object.fromEntries(parts.map((part) => [part, more(part)]));
    told[name] = beside === undefined ? all : { ...all, beside, more: added };
    say(`${title} ${name}: ${JSON.stringify(told[name])}`);
  }
  return told;
}

/** One stack with pictures of one size; its conversations come and go. */
class Scene implements AsyncDisposable {
  readonly #stack: Stack;
  readonly #listeners: Listeners;
  readonly #conversations: Conversations;
  readonly #redis: RedisConnection;
  readonly #held: AsyncDisposableStack;

  private constructor(stack: Stack, listeners: Listeners, held: AsyncDisposableStack) {
    this.#stack = stack;
    this.#listeners = listeners;
    this.#held = held;
    this.#conversations = held.use(new Conversations(stack));
    this.#redis = held.adopt(
      connectRedis(stack.redisUrl, { role: 'commands', name: 'bench', log: silentLog }),
      (each) => each.disconnect(),
    );
  }

  static async open(
    picture: (typeof PICTURES)[number],
    { env, signal }: Pick<BenchOptions, 'env' | 'signal'>,
  ): Promise<Scene> {
    await using held = new AsyncDisposableStack();
    const stack = held.use(await Stack.start({ env }, signal));
    const set = await fetch(`${stack.simulator.url}/sim/settings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(picture),
      signal,
    });
    if (!set.ok) throw new Error(`The simulator refused its settings: ${await set.text()}`);
    const listeners = held.use(await Listeners.start({ env }, signal));
    return new Scene(stack, listeners, held.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held[Symbol.asyncDispose]();
  }

  async measure(
    { output, audio, user, stream }: Format,
    windowMs: number,
    signal: AbortSignal,
  ): Promise<{ cost: Cost; busyPercent: number }> {
    const url = `${this.#stack.simulator.url}/rooms/out-${randomBytes(4).toString('hex')}`;
    const bundle = `${this.#stack.simulator.url}/daily`;
    const listener = user ? await this.#listeners.join({ url, bundle, gives: true }, signal) : undefined;
    const room = user ? { room: { url } } : {};
    const id = await this.#conversations.add({ output: { ...output, ...room }, ...(audio ? { audio } : {}) }, signal);
    await listener?.say(voice(SETTLE_MS + windowMs), signal);
    await pause(SETTLE_MS, undefined, { signal });
    const before = this.#cpu();
    await pause(windowMs, undefined, { signal });
    const after = this.#cpu();
    const minutes = (after.at - before.at) / 60_000;
    const bytes = stream ? await this.#bytes(conversationKeys('fleet', id)[stream], windowMs) : 0;
    await this.#leave(id, listener, signal);
    return {
      cost: {
        worker: (after.worker - before.worker) / minutes,
        browser: (after.browser - before.browser) / minutes,
        redis: (after.redis - before.redis) / minutes,
        megabytes: (bytes / 1e6 / windowMs) * 60_000,
      },
      busyPercent: cpuShares(before.machine, after.machine)?.busyPercent ?? 0,
    };
  }

  async #leave(id: string, listener: Listener | undefined, signal: AbortSignal): Promise<void> {
    await this.#conversations.remove(id, signal);
    await listener?.leave(signal);
  }

  #cpu(): { worker: number; browser: number; redis: number; machine: ReturnType<typeof cpuTimes>; at: number } {
    const [worker] = this.#stack.workers;
    const redis = this.#stack.redis?.pid;
    if (!worker || redis === undefined) throw new Error('The stack has no worker, or no Redis process of its own.');
    return {
      worker: cpuSeconds([worker.pid]),
      browser: cpuSeconds(browsersOf(worker.pid)),
      redis: cpuSeconds([redis]),
      machine: cpuTimes(),
      at: performance.now(),
    };
  }

  /** All fields of the entries of the last `ms`, as a reader gets them. */
  async #bytes(key: string, ms: number): Promise<number> {
    const [newest] = await this.#redis.xrevrange(key, '+', '-', 'COUNT', 1);
    const last = Number(newest?.[0].split('-')[0] ?? 0);
    const entries = await this.#redis.xrangeBuffer(key, `${last - ms}`, '+');
    return entries.reduce((sum, [, fields]) => sum + fields.reduce((bytes, field) => bytes + field.byteLength, 0), 0);
  }
}

/** A hum with a beat, as loud as speech. */
function voice(ms: number): Int16Array {
  return Int16Array.from(
    { length: (ms * VOICE_RATE) / 1_000 },
    (_, i) =>
      6_000 * Math.sin((2 * Math.PI * 180 * i) / VOICE_RATE) * (1 + Math.sin((2 * Math.PI * 4 * i) / VOICE_RATE)),
  );
}
