// What a backend gets of a conversation's media, read with a plain driver and judged by content: the avatar's picture beside its voice,
// and the users' voices. And that none of it costs those who talk anything.
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BadConsumers } from './fixtures/bad-consumers.ts';
import type { Conversation } from './fixtures/caller.ts';
import { between, expectWhole, figures, judge } from './fixtures/judge.ts';
import { lipLag, syllables } from './fixtures/lip-sync.ts';
import { RATE } from './fixtures/producer.ts';
import { blocksOf, inOrder, inTime, picturesOf } from './fixtures/streams.ts';
import { joinRoom, untilPictures } from './fixtures/users.ts';
import { World } from './fixtures/world.ts';

const signal = (ms = 30_000): AbortSignal => AbortSignal.timeout(ms);
/** How far picture and sound may be apart of how the avatar sent them; a machine that is shared adds to it. */
const APART_MS = process.env['CI'] ? 120 : 60;

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(() => world?.[Symbol.asyncDispose]());

/** Speech in real time, to its end as the replica heard it. */
async function speak(conversation: Conversation, sent: Int16Array): Promise<number> {
  const { firstAtMs, lastAtMs } = await world.producer.say(conversation.id, sent, 'live');
  await conversation.until(
    'the end of speech',
    ({ type, seenAtMs }) => type === 'bot-stopped-speaking' && seenAtMs > lastAtMs,
  );
  return firstAtMs;
}

async function stop(conversation: Conversation): Promise<void> {
  await conversation.post('stop');
  expect(await conversation.untilEnded()).toBe('stopped');
}

it.each([
  { format: 'encoded', atLeast: 60 },
  { format: 'jpeg', atLeast: 25 },
] as const)('pictures ($format) and sound lie together as the avatar sent them', async ({ format, atLeast }) => {
  const conversation = await world.caller.start({ output: { streams: { audio: true, video: { format } } } });
  await conversation.untilState('live');
  const fromMs = await speak(conversation, syllables(chirpWalk({ rate: RATE, ms: 8_000, seed: 21 }), 22));
  const blocks = (await blocksOf(world.producer.redis, conversation.id, 'audio')).filter(({ pts }) => pts >= fromMs);
  // All of them, because an encoded picture cannot be read without those before it.
  const pictures = await picturesOf(world.producer.redis, conversation.id);
  await stop(conversation);
  expect(pictures[0]?.key).toBe(true);
  expect(pictures.every(({ pts }, at) => pts > (pictures[at - 1]?.pts ?? 0))).toBe(true);
  const read = await world.users.read(pictures, signal());
  const mouths = read.flatMap(({ pts, reading }) => (reading && pts >= fromMs ? [{ pts, mouth: reading.mouth }] : []));
  const { lagMs, correlation } = lipLag(inTime(blocks), blocks[0]?.pts ?? 0, mouths);
  figures(`outputs, ${format}`, { pictures: mouths.length, lagMs, correlation });
  expect(mouths.length).toBeGreaterThanOrEqual(atLeast);
  expect(correlation).toBeGreaterThan(0.6);
  expect(Math.abs(lagMs)).toBeLessThanOrEqual(APART_MS);
  expect(conversation.of('frames-dropped')).toEqual([]);
});

it.each(['the user room', 'the Tavus room'] as const)(
  'a user’s voice in %s: whole, by name, with who speaks',
  async (where) => {
    const room = `${world.sim.url}/rooms/voices`;
    const output = where === 'the user room' ? { room: { url: room } } : { direct: true };
    const conversation = await world.caller.start({ output: { ...output, userAudio: true } });
    await conversation.untilState('live');
    const { tavusConversationId } = await conversation.view();
    const url = where === 'the user room' ? room : `https://tavus.daily.co/${tavusConversationId}`;
    const joining = { url, bundle: `${world.sim.url}/daily`, userName: 'Ada', gives: true };
    const user = await world.users.join(joining, signal());
    await untilPictures(user, 3);
    const said = chirpWalk({ rate: RATE, ms: 3_000, seed: 31 });
    const saidAtMs = await user.say(said, signal());
    const began = await conversation.until('the user speaks', ({ type }) => type === 'user-started-speaking');
    await conversation.until('the user is silent', ({ type }) => type === 'user-stopped-speaking');
    const blocks = await blocksOf(world.producer.redis, conversation.id, 'user-audio');
    await stop(conversation);
    await user.leave(signal());
    const heard = judge(said, inOrder(blocks.filter(({ pts }) => pts >= saidAtMs - 200)));
    figures(`a user’s voice in ${where}`, { heard, toldAfterMs: began.seenAtMs - saidAtMs });
    expectWhole(heard);
    expect(new Set(blocks.map(({ participant }) => participant))).toEqual(new Set([user.participantId]));
    expect(began.data).toMatchObject({ participantId: user.participantId });
    expect(blocks.every(({ rate, channels }) => rate === RATE && channels === 1)).toBe(true);
  },
);

it('outputs cost the user in the room nothing: read by nobody, slowly, by one who dies, by one who never takes what he asked for', async () => {
  const all = { streams: { audio: true, video: { format: 'encoded' } }, userAudio: true };
  const runs = { without: {}, 'read by nobody': all, 'read badly': all };
  const heard: Record<string, ReturnType<typeof judge>> = {};
  const readSlowly: BadConsumers['read'][] = [];
  for (const [name, outputs] of Object.entries(runs)) {
    const place = `cost-${Object.keys(heard).length}`;
    const url = `${world.sim.url}/rooms/${place}`;
    const user = await joinRoom(world.users, world.sim.url, place);
    const conversation = await world.caller.start({ output: { room: { url }, ...outputs } });
    await conversation.untilState('live');
    await untilPictures(user, 3);
    await using consumers = name === 'read badly' ? await BadConsumers.of(world, conversation) : undefined;
    const sent = chirpWalk({ rate: RATE, ms: 4_000, seed: 41 });
    const fromMs = await speak(conversation, sent);
    await untilPictures(user, 2);
    const judgement = judge(sent, between(await user.report(signal()), fromMs, Date.now()));
    heard[name] = judgement;
    if (consumers) readSlowly.push(consumers.read);
    expect(conversation.of('frames-dropped')).toEqual([]);
    await stop(conversation);
    await user.leave(signal());
    expectWhole(judgement);
  }
  figures('outputs and their readers', { heard, readSlowly });
  const [slowly] = readSlowly;
  expect(slowly?.audio).toBeGreaterThan(5);
  expect(slowly?.audio).toBeLessThan(100); // 50 a second came
  expect(slowly?.video).toBeGreaterThan(5);
  expect(slowly?.events).toBeGreaterThan(3);
  for (const name of ['read by nobody', 'read badly'])
    expect(heard[name]?.correlation).toBeGreaterThan((heard['without']?.correlation ?? 1) - 0.05);
});
