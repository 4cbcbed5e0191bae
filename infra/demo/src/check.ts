import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { connectRedis, silentLog } from '@tavus-fleet/redis';
import { Listeners, Stack, type Listener } from '@tavus-fleet/testkit';
import { z } from 'zod';
import { DemoConversation } from './fleet.ts';
import { firstSound, heardOf, lastSoundMs, picturesOf } from './measure.ts';
import { OutsideWatch } from './outside.ts';
import { say, speech, type Speech } from './speech.ts';
import { troubles } from './troubles.ts';
import { judge, type Figures } from './verdict.ts';

const SimState = z.object({
  billing: z.object({ unended: z.array(z.string()) }),
  conversations: z.array(z.object({ endedBy: z.string().nullable() })),
});
const SimSettings = z.object({ replicaDelayMs: z.number() });

/** The demo, headless and asserted: says what it measures, prints one JSON line last; answers the exit code. */
export async function check(env: Readonly<Record<string, string | undefined>>, signal: AbortSignal): Promise<number> {
  await using outside = await OutsideWatch.start();
  const stack = await Stack.start({ env: { ...env, CHROMIUM_PROXY: outside.url }, onLine: troubles }, signal);
  let figures: Figures | undefined;
  let ended: Record<string, number | string> = {};
  try {
    await using listeners = await Listeners.start({ env, extraArgs: [`--proxy-server=${outside.url}`] }, signal);
    figures = await measure(stack, listeners, signal);
  } finally {
    ended = await stack.close();
  }
  const crashed = Object.entries(ended)
    .filter(([, how]) => how !== 0)
    .map(([name, how]) => `${name} ended with ${how}`);
  const { problems, report } = judge({ ...figures, externalRequests: outside.hosts.length }, [
    ...crashed,
    ...outside.hosts.map((host) => `a browser asked for ${host}`),
  ]);
  for (const problem of problems) process.stderr.write(`FAILED: ${problem}\n`);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return problems.length === 0 ? 0 : 1;
}

async function measure(stack: Stack, listeners: Listeners, signal: AbortSignal): Promise<Figures> {
  const sim = stack.simulator.url;
  const room = `${sim}/rooms/check-${randomBytes(4).toString('hex')}`;
  const listener = await listeners.join({ url: room, bundle: `${sim}/daily` }, signal);
  const startedMs = Date.now();
  const conversation = await DemoConversation.start(
    stack.api.url,
    stack.apiKey,
    { replicaId: 'r-demo', output: { room: { url: room } } },
    signal,
  );
  const live = await conversation.until('live', isState('live'), 30_000);
  await pictures(listener, 10, signal);

  const redis = connectRedis(stack.redisUrl, { role: 'commands', name: 'demo', log: silentLog });
  try {
    const quietFromMs = Date.now();
    await pause(1_000, undefined, { signal }); // a second of rest, to see the mouth closed
    const first = cut(speech('speech-24k.wav'), 0, 6_000);
    const said = await say(redis, conversation.id, first, 'live', signal);
    const saidUntilMs = Date.now();
    await conversation.until(
      'the end of the first utterance',
      ({ type, seenAtMs }) => type === 'bot-stopped-speaking' && seenAtMs > saidUntilMs,
      15_000,
    );

    const second = await say(redis, conversation.id, cut(speech('speech-16k.wav'), 0, 8_000), 'burst', signal);
    await pause(1_500, undefined, { signal }); // in the middle of a sentence
    const interruptedMs = Date.now();
    await conversation.post('interrupt');
    await conversation.until('interrupted', ({ type }) => type === 'interrupted', 5_000);
    await pause(1_500, undefined, { signal });
    const quietUntilMs = Date.now();

    const last = cut(speech('speech-24k.wav'), 6_000, 9_000);
    const lastSaid = await say(redis, conversation.id, last, 'burst', signal);
    await conversation.post('stop');
    await conversation.until('ended', ({ type }) => type === 'ended', 20_000);
    const endedMs = Date.now();

    const report = await listener.report(signal);
    await listener.leave(signal);
    const [state, settings] = [
      SimState.parse(await json(`${sim}/sim/state`)),
      SimSettings.parse(await json(`${sim}/sim/settings`)),
    ];
    const skip = firstSound(first.samples);
    const heard = heardOf(report, first.samples, said.firstAtMs, second.firstAtMs);
    const heardLast = heardOf(report, last.samples, lastSaid.firstAtMs, endedMs);
    const interrupted = lastSoundMs(report, interruptedMs - 500, quietUntilMs);
    const whole = picturesOf(report.pictures, quietFromMs, quietUntilMs);
    return {
      startToLiveMs: live.seenAtMs - startedMs,
      audioCorrelation: heard.correlation,
      audioMovedMs: heard.movedMs,
      lastUtteranceCorrelation: heardLast.correlation,
      firstChunkToUserRoomMs:
        heard.firstSoundAtMs - (said.firstAtMs + (skip * 1000) / first.rate) - settings.replicaDelayMs,
      interruptToSilenceMs: interrupted === undefined ? undefined : interrupted - interruptedMs,
      videoFps: whole.fps,
      videoLatencyMs: whole.latencyMs,
      longestFreezeMs: whole.longestGapMs,
      mouthSpeaking: picturesOf(report.pictures, said.firstAtMs + 500, saidUntilMs).mouth,
      mouthResting: picturesOf(report.pictures, quietFromMs, said.firstAtMs).mouth,
      unreadablePictures: report.unreadable,
      ttfbMs: conversation.events.find(({ type, data }) => type === 'metrics' && data['ttfbMs'] !== undefined)?.data[
        'ttfbMs'
      ],
      unended: state.billing.unended.length,
      endedBy: state.conversations.map((one) => one.endedBy).join(','),
    };
  } finally {
    redis.disconnect();
  }
}

const isState =
  (state: string) =>
  ({ type, data }: { type: string; data: Readonly<Record<string, unknown>> }): boolean =>
    type === 'state' && data['state'] === state;

function cut({ rate, samples }: Speech, fromMs: number, toMs: number): Speech {
  return { rate, samples: samples.slice((rate * fromMs) / 1000, (rate * toMs) / 1000) };
}

/** Waits until that many pictures were seen. */
async function pictures(listener: Listener, count: number, signal: AbortSignal): Promise<void> {
  const until = AbortSignal.any([signal, AbortSignal.timeout(15_000)]);
  while ((await listener.counts(until)).pictures < count) await pause(50, undefined, { signal: until });
}

async function json(url: string): Promise<unknown> {
  return (await fetch(url)).json();
}
