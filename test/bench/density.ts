// What one more session costs: CPU and memory of the worker's browser, with everything else measured apart from it.
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Listeners, Stack } from '@tavus-fleet/testkit';
import { Conversations } from './density/conversations.ts';
import { browsersOf, cpuSeconds, cpuSecondsByThread, isAlive, pssMb, roleOf, tree } from './density/processes.ts';
import type { BenchOptions } from './harness/bench.ts';
import { cpuShares, cpuTimes } from './harness/machine.ts';
import { median, round } from './harness/quantiles.ts';

const SESSIONS = [1, 3, 5];
const SETTLE_MS = 4_000;
const MAX_BUSY_PERCENT = 92;
const PICTURE = { width: 640, height: 360, fps: 24 };

export const about =
  "CPU and memory of the worker's browser per session, for 1, 3 and 5: receive-only, and with a user room";

type Window = {
  readonly sessions: number;
  /** The worker's browser, CPU seconds per minute of one session. */
  readonly cpuSecondsPerSessionMinute: number;
  readonly browserCpuPercent: number;
  readonly browserPssMb: number;
  /** Percent of one core: what else ran for these sessions. */
  readonly restCpuPercent: Readonly<Record<string, number>>;
  readonly fps: number;
  readonly machine: { busyPercent: number; stealPercent: number } | undefined;
  /** Why this window proves nothing: too little machine, or a session that did not last. */
  readonly disturbed: string | undefined;
  /** Percent of one core per session, by process and thread; the largest ones. */
  readonly threads: Readonly<Record<string, number>>;
};

export async function run(options: BenchOptions): Promise<object> {
  const windowMs = options.quick ? 8_000 : 20_000;
  const only = ['receive-only', 'two-rooms'].find((mode) => options.flags.has(mode));
  const results: Record<string, object> = {};
  for (const mode of only ? [only] : ['receive-only', 'two-rooms'])
    results[mode] = await measureMode(mode, windowMs, options);
  return { picture: `${PICTURE.width}x${PICTURE.height}@${PICTURE.fps}`, windowMs, ...results };
}

async function measureMode(mode: string, windowMs: number, { env, signal, say }: BenchOptions): Promise<object> {
  await using stack = await Stack.start({ env: { ...env, WORKER_SESSIONS_PER_BROWSER: '10' } }, signal);
  const { url } = stack.simulator;
  const { width, height, fps } = PICTURE;
  const set = await fetch(`${url}/sim/settings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ size: { width, height }, fps }),
    signal,
  });
  if (!set.ok) throw new Error(`The simulator refused its settings: ${await set.text()}`);
  await using viewers = mode === 'two-rooms' ? await Listeners.start({ env }, signal) : undefined;
  await using conversations = new Conversations(stack);
  const windows: Window[] = [];
  for (const sessions of SESSIONS) {
    while (conversations.ids.length < sessions) {
      const room = `${url}/rooms/density-${randomBytes(4).toString('hex')}`;
      await viewers?.join({ url: room, bundle: `${url}/daily` }, signal);
      await conversations.add({ output: viewers ? { room: { url: room } } : {} }, signal);
    }
    await pause(SETTLE_MS, undefined, { signal });
    const window = await measure(stack, conversations, windowMs, signal);
    if (window.disturbed !== undefined) say(`${mode} N=${sessions}: NOT A MEASUREMENT: ${window.disturbed}`);
    windows.push(window);
    say(
      `${mode} N=${sessions}: ${window.cpuSecondsPerSessionMinute} CPU s per session-minute, browser ${window.browserCpuPercent} % of a core and ${window.browserPssMb} MB, rest ${JSON.stringify(window.restCpuPercent)}, ${window.fps} fps, machine ${JSON.stringify(window.machine)}`,
    );
    say(
      `  per session: ${Object.entries(window.threads)
        .map(([name, percent]) => `${name} ${percent} %`)
        .join(', ')}`,
    );
  }
  const sound = windows.filter((window) => window.disturbed === undefined);
  const [first, last] = [sound[0], sound.at(-1)];
  if (!first || !last || first === last) return { marginal: undefined, windows };
  const added = last.sessions - first.sessions;
  const marginal = {
    between: [first.sessions, last.sessions],
    cpuPercent: round((last.browserCpuPercent - first.browserCpuPercent) / added, 1),
    pssMb: round((last.browserPssMb - first.browserPssMb) / added, 1),
  };
  say(
    `${mode}: one more session costs ${marginal.cpuPercent} % of a core and ${marginal.pssMb} MB (from ${first.sessions} to ${last.sessions})`,
  );
  return { marginal, windows };
}

/** Where a session's work is done. Chromium ends other services when they have nothing to do: that costs no figure its truth. */
const COUNTED = new Set(['browser', 'renderer', 'network', 'audio', 'gpu-process']);

/** What makes a window worthless. A machine that has nothing left gives sessions less than they ask for, and they look cheap. */
function disturbance(facts: {
  gone: readonly string[];
  notLive: number;
  busyPercent: number;
  framesFailed: number;
}): string | undefined {
  const missed = facts.gone.filter((role) => COUNTED.has(role));
  if (missed.length > 0) return `a process of the browser ended: ${missed.join(', ')}`;
  if (facts.notLive > 0) return `${facts.notLive} conversations were not live at its end`;
  if (facts.framesFailed > 0) return `${facts.framesFailed} pieces of speech did not reach Redis in time`;
  return facts.busyPercent > MAX_BUSY_PERCENT ? `the machine was ${facts.busyPercent} % busy` : undefined;
}

async function measure(
  stack: Stack,
  conversations: Conversations,
  windowMs: number,
  signal: AbortSignal,
): Promise<Window> {
  const sessions = conversations.ids.length;
  const worker = stack.workers[0];
  if (!worker) throw new Error('There is no worker.');
  const browser = browsersOf(worker.pid);
  const roles = new Map(browser.map((pid) => [pid, roleOf(pid)]));
  const services = [worker.pid, stack.simulator.pid, stack.api.pid];
  const parts: Record<string, number[]> = {
    worker: [worker.pid],
    simulator: [stack.simulator.pid],
    'simulator browser': browsersOf(stack.simulator.pid),
    api: [stack.api.pid],
    // What this process started besides the services: Redis and the viewers' browser; itself feeds the speech.
    'bench, viewers and redis': tree(process.pid).filter(
      (pid) => !services.some((service) => tree(service).includes(pid)),
    ),
  };
  const read = (): {
    browser: number;
    threads: Map<string, number>;
    rest: number[];
    machine: ReturnType<typeof cpuTimes>;
    at: number;
  } => ({
    browser: cpuSeconds(browser),
    threads: cpuSecondsByThread(browser),
    rest: Object.values(parts).map(cpuSeconds),
    machine: cpuTimes(),
    at: performance.now(),
  });
  const framesFailedBefore = conversations.framesFailed;
  const before = read();
  await pause(windowMs, undefined, { signal });
  const after = read();
  const seconds = (after.at - before.at) / 1_000;
  const percent = (used: number): number => round((used * 100) / seconds, 1);
  const threads = [...after.threads].map(
    ([name, used]) => [name, percent(used - (before.threads.get(name) ?? 0)) / sessions] as const,
  );
  const views = await Promise.all(conversations.ids.map((id) => conversations.view(id, signal)));
  const shares = cpuShares(before.machine, after.machine);
  return {
    sessions,
    cpuSecondsPerSessionMinute: round(((after.browser - before.browser) * 60) / seconds / sessions, 2),
    browserCpuPercent: percent(after.browser - before.browser),
    browserPssMb: round(pssMb(browser), 0),
    restCpuPercent: Object.fromEntries(
      Object.keys(parts).map((name, at) => [name, percent((after.rest[at] ?? 0) - (before.rest[at] ?? 0))]),
    ),
    fps: median(views.map((view) => view.metrics?.videoFps ?? 0)),
    machine: shares,
    disturbed: disturbance({
      gone: browser.filter((pid) => !isAlive(pid)).map((pid) => roles.get(pid) ?? ''),
      notLive: views.filter((view) => view.state !== 'live').length,
      busyPercent: shares?.busyPercent ?? 0,
      framesFailed: conversations.framesFailed - framesFailedBefore,
    }),
    threads: Object.fromEntries(
      threads
        .toSorted(([, a], [, b]) => b - a)
        .slice(0, 14)
        .map(([name, used]) => [name, round(used, 1)]),
    ),
  };
}
