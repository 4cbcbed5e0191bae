// Five conversations at once on one worker, each with a sound of its own. What a plain WebRTC loop loses on this machine in
// the same seconds is measured beside them: the fleet may lose no more.
import type { Listener } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Conversation } from './fixtures/caller.ts';
import { between, boundsMs, face, figures, judge } from './fixtures/judge.ts';
import { PlainLoop } from './fixtures/loop.ts';
import { RATE } from './fixtures/producer.ts';
import { joinRoom, untilPictures } from './fixtures/users.ts';
import { World } from './fixtures/world.ts';

const SPEECH_MS = process.env['FULL'] === '1' ? 60_000 : 20_000;
/** Five with everything around them (replicas that draw, listeners) take nine tenths of two cores: on a machine that others use too, three. */
const COUNT = process.env['CI'] ? 3 : 5;
/** In the rooms of these sits a user; the others are judged by what their replica heard. */
const WATCHED = 2;

let loop: PlainLoop;

// Of each try its own: a second one must not meet the first one's users and bills.
let world: World;

beforeEach(async () => {
  world = await World.start({ WORKER_MAX_SESSIONS: String(COUNT) });
  loop = await PlainLoop.start(AbortSignal.timeout(30_000));
});

afterEach(async () => {
  await loop?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

type Party = { readonly conversation: Conversation; readonly user: Listener | undefined; readonly sent: Int16Array };
type Kept = { readonly heard: Int16Array; readonly face?: ReturnType<typeof face> };

async function meet(index: number): Promise<Party> {
  const room = `five-${index}`;
  const user = index < WATCHED ? await joinRoom(world.users, world.sim.url, room) : undefined;
  // All of them in two rooms; most user rooms stay empty, which must not end them here.
  const conversation = await world.caller.start({
    output: { room: { url: `${world.sim.url}/rooms/${room}` } },
    limits: { emptyRoomSeconds: 600 },
  });
  await conversation.untilState('live', 60_000);
  return { conversation, user, sent: chirpWalk({ rate: RATE, ms: SPEECH_MS, seed: 500 + index }) };
}

async function keep({ conversation, user }: Party, fromMs: number): Promise<Kept> {
  if (!user) return { heard: await world.sim.heard((await conversation.view()).tavusConversationId ?? '') };
  const report = await user.report(AbortSignal.timeout(15_000));
  return { heard: between(report, fromMs, Date.now()), face: face(report, fromMs, fromMs + SPEECH_MS) };
}

it(
  `carries ${COUNT} conversations for ${SPEECH_MS / 1_000} s: each whole, none mixed, none left open`,
  async () => {
    const startedMs = Date.now();
    const parties = await Promise.all(Array.from({ length: COUNT }, (_, index) => meet(index)));
    const liveMs = Date.now() - startedMs;
    for (const { user } of parties) if (user) await untilPictures(user, 5);

    const loopSent = chirpWalk({ rate: RATE, ms: SPEECH_MS, seed: 499 });
    await loop.play(loopSent, AbortSignal.timeout(15_000));
    const fromMs = Date.now();
    const said = await Promise.all(
      parties.map(({ conversation, sent }) => world.producer.say(conversation.id, sent, 'live')),
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
    const { billing, conversations } = await world.sim.state();
    expect(billing.unended).toEqual([]);
    expect(conversations).toHaveLength(COUNT);
  },
  SPEECH_MS + 90_000,
);
