// A rolling update: each of three workers (two in CI) gets SIGTERM while conversations on it speak without a pause, and another takes its place
// first. No call is cut: the same Tavus conversations go on, and the users hear every word once, with one short silence for each
// hand-over that fell into speech. CI has one round; FULL=1 has ten and writes docs/reports.
import type { Listener } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Conversation } from '../../e2e/fixtures/caller.ts';
import { between, boundsMs, figures, judge, silences, type Judgement } from '../../e2e/fixtures/judge.ts';
import { RATE } from '../../e2e/fixtures/producer.ts';
import { eventually, joinRoom, untilPictures } from '../../e2e/fixtures/users.ts';
import { World } from '../../e2e/fixtures/world.ts';
import { quantile } from '../../bench/harness/quantiles.ts';
import { report, today } from '../fixtures/report.ts';

/** Workers, and conversations. Three of each and their replicas and users take more than two cores have: on a machine that others use too, two. */
const COUNT = process.env['CI'] ? 2 : 3;
const ROUNDS = process.env['FULL'] ? Number(process.env['ROUNDS'] ?? 10) : 1;
/** Longer than three hand-overs in the middle of speech take. */
const SPEECH_MS = 30_000;
/** Of a hand-over in speech; the middle of many runs lies far below (docs/reports). */
const SILENCE_MS = 2_000 * (process.env['CI'] ? 2 : 1);

let world: World;
beforeEach(async () => {
  world = await World.start({ WORKER_MAX_SESSIONS: String(COUNT), WORKER_DRAIN_SECONDS: '60' }, COUNT);
});
afterEach(async () => {
  await world?.[Symbol.asyncDispose]();
});

type Party = { readonly conversation: Conversation; readonly user: Listener };
type Heard = {
  readonly judged: Judgement;
  /** The longest silence while its worker drained, for each hand-over that fell into speech. */
  readonly handOversMs: readonly number[];
  /** For so long the old owner and the new one were heard at once. */
  readonly doubledMs: number;
  /** Of the time of this round the listener has no sound at all, silence included, from no track: nobody sent any, or its machine stood still. */
  readonly unrecordedMs: number;
  /** All others: the machine's, not the product's. */
  readonly othersMs: readonly number[];
};
/** A worker drained, by our clock; what is heard of it comes a little later. */
type Drain = {
  readonly fromMs: number;
  readonly toMs: number;
  readonly of: readonly number[];
};
const HEARD_LATER_MS = 1_500;
const LOST_MS = 1_000;

async function meet(index: number): Promise<Party> {
  const room = `rolling-${index}`;
  const user = await joinRoom(world.users, world.sim.url, room);
  const conversation = await world.caller.start({ output: { room: { url: `${world.sim.url}/rooms/${room}` } } });
  await conversation.untilState('live', 60_000);
  await untilPictures(user, 3);
  return { conversation, user };
}

/** Every worker is replaced while each conversation says one long sentence; answers what was heard, and how long each drain took. */
async function round(
  parties: readonly Party[],
  seed: number,
): Promise<{ tookMs: number[]; changed: number; heard: Heard[] }> {
  const sent = parties.map((_, index) => chirpWalk({ rate: RATE, ms: SPEECH_MS, seed: seed + index }));
  const before = await Promise.all(parties.map(({ conversation }) => conversation.view()));
  await Promise.all(parties.map(({ user }) => user.forget(AbortSignal.timeout(15_000))));
  const fromMs = Date.now();
  const speaking = parties.map(({ conversation }, index) =>
    world.producer.say(conversation.id, sent[index] ?? new Int16Array(0), 'live'),
  );
  const drains: Drain[] = [];
  for (const old of world.stack.workers.slice(-COUNT)) {
    await world.stack.addWorker(AbortSignal.timeout(60_000));
    const { workerId } = old.ready;
    const owners = await Promise.all(parties.map(async ({ conversation }) => (await conversation.view()).workerId));
    const drainFromMs = Date.now();
    old.kill('SIGTERM');
    expect(await old.exited).toBe(0);
    const of = owners.flatMap((owner, index) => (owner === workerId ? [index] : []));
    drains.push({ fromMs: drainFromMs - fromMs, toMs: Date.now() - fromMs + HEARD_LATER_MS, of });
  }
  await Promise.all(speaking);
  for (const [index, { conversation }] of parties.entries())
    await untilSaid(conversation, (before[index]?.counters['playedMs'] ?? 0) + SPEECH_MS);
  const toMs = Date.now();
  const after = await Promise.all(parties.map(({ conversation }) => conversation.view()));
  const heard: Heard[] = [];
  for (const [index, { user }] of parties.entries()) {
    const all = await user.report(AbortSignal.timeout(15_000));
    const part = between(all, fromMs, toMs);
    const silent = silences(part);
    const longest = drains
      .filter(({ of }) => of.includes(index))
      .flatMap(({ fromMs: from, toMs: to }) => {
        const during = silent.filter(({ atMs }) => atMs >= from && atMs < to);
        return during.toSorted((a, b) => b.ms - a.ms).slice(0, 1);
      });
    const judged = judge(sent[index] ?? new Int16Array(0), part);
    if (judged.longestMissingMs > LOST_MS) await tellLost(parties[index], sent[index], judged, fromMs);
    heard.push({
      judged,
      doubledMs: Math.round(all.doubledMs),
      unrecordedMs: Math.max(0, Math.round(toMs - fromMs - (part.length * 1_000) / RATE)),
      handOversMs: longest.map(({ ms }) => ms),
      othersMs: silent.filter((each) => !longest.includes(each)).map(({ ms }) => ms),
    });
  }
  expect(after.map(({ state }) => state)).toEqual(parties.map(() => 'live'));
  return {
    tookMs: drains.map(({ fromMs: from, toMs: to }) => to - from - HEARD_LATER_MS),
    changed: after.reduce((sum, { epoch }, index) => sum + epoch - (before[index]?.epoch ?? 0), 0),
    heard,
  };
}

/** Speech was lost on its way: whether the replica had heard it says which half of the way to look at. */
async function tellLost(
  party: Party | undefined,
  sent: Int16Array | undefined,
  judged: Judgement,
  fromMs: number,
): Promise<void> {
  if (!party || !sent) return;
  const { tavusConversationId = '' } = await party.conversation.view();
  figures('lost speech', {
    judged,
    replica: judge(sent, await world.sim.heard(tavusConversationId)),
    events: party.conversation.events
      .filter(({ seenAtMs, type }) => seenAtMs >= fromMs && type !== 'metrics')
      .map(({ seenAtMs, type, epoch, data }) => [seenAtMs - fromMs, type, epoch, data]),
  });
}

/** All of it was played and the avatar has ceased to speak. */
async function untilSaid(conversation: Conversation, playedMs: number): Promise<void> {
  const isPlayed = async (): Promise<boolean> =>
    ((await conversation.view()).counters['playedMs'] ?? 0) > playedMs - 100;
  await eventually('everything was played', isPlayed, 30_000).catch(async (cause: unknown) => {
    const told = conversation.events.filter(({ type }) => /^(takeover|error|frames-dropped|state|ended)$/.test(type));
    throw new Error(`${playedMs} ms: ${JSON.stringify(await conversation.view())} ${JSON.stringify(told)}`, { cause });
  });
  const isQuiet = (): boolean =>
    conversation.events.findLast(({ type }) => /^bot-(started|stopped)-speaking$/.test(type))?.type ===
    'bot-stopped-speaking';
  await eventually('the end of speech', isQuiet, 10_000);
}

it(
  `${COUNT} workers are replaced one after the other under ${COUNT} conversations that speak`,
  async () => {
    const parties = await Promise.all(Array.from({ length: COUNT }, (_, index) => meet(index)));
    const tavusIds = await Promise.all(
      parties.map(async ({ conversation }) => (await conversation.view()).tavusConversationId),
    );
    const rounds: Awaited<ReturnType<typeof round>>[] = [];
    for (let n = 0; n < ROUNDS; n += 1) {
      rounds.push(await round(parties, 900 + n * COUNT));
      figures('rolling restart', rounds.at(-1) ?? {});
    }
    const { conversations } = await world.sim.state();
    await Promise.all(parties.map(({ conversation }) => conversation.post('stop')));
    const reasons = await Promise.all(parties.map(({ conversation }) => conversation.untilEnded()));
    await eventually('all ended', async () => (await world.sim.state()).billing.unended.length === 0, 10_000);

    expect(reasons).toEqual(parties.map(() => 'stopped'));
    expect(conversations.map(({ id }) => id).toSorted()).toEqual(tavusIds.map(String).toSorted());
    for (const { conversation } of parties) {
      expect(conversation.of('frames-dropped')).toEqual([]);
      // Given, not lost: nobody had to find out that an owner was gone.
      expect(conversation.of('takeover')).toEqual([]);
    }
    const heard = rounds.flatMap((each) => each.heard);
    tell(rounds);
    for (const { judged, doubledMs } of heard) {
      expect(doubledMs).toBeLessThanOrEqual(boundsMs.gap);
      expect(judged.correlation).toBeGreaterThan(0.8);
      expect(judged.longestDuplicateMs).toBeLessThanOrEqual(2 * boundsMs.gap);
      expect(judged.longestMissingMs).toBeLessThanOrEqual(2 * boundsMs.missing);
    }
    for (const { changed } of rounds) expect(changed).toBeGreaterThanOrEqual(COUNT);
    expect(Math.max(0, ...heard.flatMap(({ handOversMs }) => handOversMs))).toBeLessThan(SILENCE_MS);
  },
  120_000 + ROUNDS * 180_000,
);

function tell(rounds: readonly Awaited<ReturnType<typeof round>>[]): void {
  const handOversMs = rounds.flatMap(({ heard }) => heard.flatMap((each) => each.handOversMs));
  const othersMs = rounds.flatMap(({ heard }) => heard.flatMap((each) => each.othersMs));
  const judged = rounds.flatMap(({ heard }) => heard.map((each) => each.judged));
  const unrecorded = rounds.flatMap(({ heard }) => heard.map((each) => each.unrecordedMs));
  const doubled = rounds.flatMap(({ heard }) => heard.map((each) => each.doubledMs));
  const drains = rounds.flatMap(({ tookMs }) => tookMs);
  const figuresOf = (values: readonly number[]): string =>
    `median ${quantile(values, 0.5)}, p95 ${quantile(values, 0.95)}, most ${Math.max(0, ...values)}`;
  report('rolling-restart', 'Rolling restart under live speech', [
    `${today()}. ${rounds.length} rounds: ${COUNT} workers replaced one after the other by SIGTERM, under ${COUNT} conversations that speak without`,
    'a pause (320x180 pictures at 10 fps; workers, simulator and users on the same two cores).',
    '',
    `- hand-overs: ${rounds.reduce((sum, { changed }) => sum + changed, 0)}, calls cut: 0, takeovers: 0`,
    `- silence in the user room's sound for each hand-over in speech (${handOversMs.length} of them), ms: ${figuresOf(handOversMs)}`,
    `- other silences of 60 ms or more, which a machine that is short of time makes by itself (${othersMs.length} of them), ms: ${figuresOf(othersMs)}`,
    `- longest part of what was said that nobody heard, per round and user, ms: ${figuresOf(judged.map((each) => each.longestMissingMs))}`,
    `- time of which a user got no sound at all, not even silence, per round, ms: ${figuresOf(unrecorded)}`,
    `- longest part heard twice, ms: ${figuresOf(judged.map((each) => each.longestDuplicateMs))}; the old owner and the new one at once: ${figuresOf(doubled)}`,
    `- from SIGTERM to the process's end, ms: ${figuresOf(drains)}`,
  ]);
}
