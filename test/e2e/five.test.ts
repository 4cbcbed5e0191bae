// Five conversations at once on one worker, each with a sound of its own. What a plain WebRTC loop loses on this machine in
// the same seconds is measured beside them: the fleet may lose no more.
import { Stack, type Listener, type Listeners } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Caller, type Conversation } from './fixtures/caller.ts';
import { between, boundsMs, face, figures, judge } from './fixtures/judge.ts';
import { PlainLoop } from './fixtures/loop.ts';
import { Producer, RATE } from './fixtures/producer.ts';
import { SimulatorView } from './fixtures/simulator-view.ts';
import { joinRoom, startUsers, untilPictures } from './fixtures/users.ts';

const SPEECH_MS = process.env['FULL'] === '1' ? 60_000 : 20_000;
const COUNT = 5;
/** In the rooms of these sits a user; the others are judged by what their replica heard. */
const WATCHED = 2;

let stack: Stack;
let sim: SimulatorView;
let users: Listeners;
let loop: PlainLoop;
let producer: Producer;

// Of each try its own: a second one must not meet the first one's users and bills.
beforeEach(async () => {
  stack = await Stack.start(
    { env: { ...process.env, WORKER_MAX_SESSIONS: String(COUNT) } },
    AbortSignal.timeout(60_000),
  );
  sim = new SimulatorView(stack.simulator.url);
  await sim.small();
  users = await startUsers();
  loop = await PlainLoop.start(AbortSignal.timeout(30_000));
  producer = new Producer(stack.redisUrl);
});

afterEach(async () => {
  producer?.close();
  await loop?.[Symbol.asyncDispose]();
  await users?.[Symbol.asyncDispose]();
  await stack?.close();
});

type Party = { readonly conversation: Conversation; readonly user: Listener | undefined; readonly sent: Int16Array };
type Kept = { readonly heard: Int16Array; readonly face?: ReturnType<typeof face> };

async function meet(caller: Caller, index: number): Promise<Party> {
  const room = `five-${index}`;
  const user = index < WATCHED ? await joinRoom(users, sim.url, room) : undefined;
  // All of them in two rooms; most user rooms stay empty, which must not end them here.
  const conversation = await caller.start({
    output: { room: { url: `${sim.url}/rooms/${room}` } },
    limits: { emptyRoomSeconds: 600 },
  });
  await conversation.untilState('live', 60_000);
  return { conversation, user, sent: chirpWalk({ rate: RATE, ms: SPEECH_MS, seed: 500 + index }) };
}

async function keep({ conversation, user }: Party, fromMs: number): Promise<Kept> {
  if (!user) return { heard: await sim.heard((await conversation.view()).tavusConversationId ?? '') };
  const report = await user.report(AbortSignal.timeout(15_000));
  return { heard: between(report, fromMs, Date.now()), face: face(report, fromMs, fromMs + SPEECH_MS) };
}

it(
  `carries five conversations for ${SPEECH_MS / 1_000} s: each whole, none mixed, none left open`,
  async () => {
    const caller = new Caller(stack.api.url, stack.apiKey);
    const startedMs = Date.now();
    const parties = await Promise.all(Array.from({ length: COUNT }, (_, index) => meet(caller, index)));
    const liveMs = Date.now() - startedMs;
    for (const { user } of parties) if (user) await untilPictures(user, 5);

    const loopSent = chirpWalk({ rate: RATE, ms: SPEECH_MS, seed: 499 });
    await loop.play(loopSent, AbortSignal.timeout(15_000));
    const fromMs = Date.now();
    const said = await Promise.all(
      parties.map(({ conversation, sent }) => producer.say(conversation.id, sent, 'live')),
    );
    // A stop plays what was accepted, in the user room too: so what is kept afterwards is all there ever was.
    await Promise.all(parties.map(({ conversation }) => conversation.post('stop')));
    expect(await Promise.all(parties.map(({ conversation }) => conversation.untilEnded()))).toEqual(
      Array.from({ length: COUNT }, () => 'stopped'),
    );
    const [kept, loopHeard] = await Promise.all([
      Promise.all(parties.map((party) => keep(party, fromMs))),
      loop.heard(AbortSignal.timeout(15_000)),
    ]);

    // Judged when the rooms are empty: it takes a core for seconds, and would be heard in them.
    const plain = judge(loopSent, loopHeard);
    const heard = parties.map(({ sent }, at) => judge(sent, kept[at]?.heard ?? new Int16Array(0)));
    const faces = kept.slice(0, WATCHED).map((one) => one.face);
    figures('five', {
      liveMs,
      lateMs: Math.max(...said.map(({ lateMs }) => lateMs)),
      plain,
      heard,
      faces,
      ttfb: parties.map(({ conversation }) => conversation.ttfb[0]),
    });
    for (const one of heard) {
      expect(one.longestMissingMs).toBeLessThanOrEqual(Math.max(boundsMs.missing, plain.longestMissingMs));
      expect(one.longestGapMs).toBeLessThanOrEqual(Math.max(boundsMs.gap, plain.longestGapMs));
      expect(one.longestDuplicateMs).toBeLessThanOrEqual(Math.max(boundsMs.gap, plain.longestDuplicateMs));
      expect(one.correlation).toBeGreaterThan(0.9); // its own sound; another's, or a mix, stays below 0.75
    }
    for (const one of faces) expect(one?.fresh).toBeGreaterThan((SPEECH_MS / 1_000) * 5);
    for (const { conversation } of parties) expect(conversation.of('frames-dropped')).toEqual([]);
    const { billing, conversations } = await sim.state();
    expect(billing.unended).toEqual([]);
    expect(conversations).toHaveLength(COUNT);
  },
  SPEECH_MS + 90_000,
);
