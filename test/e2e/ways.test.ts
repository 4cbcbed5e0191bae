// Every way in against every way out: one conversation with all outputs and a user in its room is spoken to by each, and each output is judged
// by what it brought of it. A way in writes the same frames as the others, so what comes out must not tell them apart.
import { setTimeout as pause } from 'node:timers/promises';
import { createFleet } from '@tavus-fleet/client';
import type { Listener } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Conversation } from './fixtures/caller.ts';
import { between, boundsMs, figures, judge } from './fixtures/judge.ts';
import { lipLag, syllables } from './fixtures/lip-sync.ts';
import { RATE } from './fixtures/producer.ts';
import { blocksOf, inTime, picturesOf } from './fixtures/streams.ts';
import { joinRoom, untilPictures } from './fixtures/users.ts';
import { World } from './fixtures/world.ts';

const signal = (ms = 30_000): AbortSignal => AbortSignal.timeout(ms);
const SPEECH_MS = 3_000;
const CHUNK_MS = 100;
const APART_MS = process.env['CI'] ? 120 : 60;

let world: World;
let user: Listener;
let conversation: Conversation;

beforeAll(async () => {
  world = await World.start();
  user = await joinRoom(world.users, world.sim.url, 'ways');
  conversation = await world.caller.start({
    output: {
      room: { url: `${world.sim.url}/rooms/ways` },
      streams: { audio: true, video: { format: 'encoded' } },
    },
  });
  await conversation.untilState('live');
  await untilPictures(user, 3);
});

afterAll(async () => {
  await conversation?.post('stop');
  await world?.[Symbol.asyncDispose]();
});

/** Loud and soft by turns, so that a mouth has much to follow, and never silent: it is one stretch of speech. */
function speech(seed: number): Int16Array {
  const tone = chirpWalk({ rate: RATE, ms: SPEECH_MS, seed });
  const loud = syllables(tone, seed + 1);
  return tone.map((sample, at) => Math.round(0.15 * sample + 0.85 * (loud[at] ?? 0)));
}

type Frame = { readonly type: 'tts-started' | 'tts-stopped' } | { readonly type: 'tts-audio'; readonly audio: Buffer };

/** In real time, a little ahead. */
async function inTurn(samples: Int16Array, add: (frame: Frame) => Promise<unknown>): Promise<void> {
  const chunk = (RATE * CHUNK_MS) / 1_000;
  await add({ type: 'tts-started' });
  for (let at = 0; at < samples.length; at += chunk) {
    await add({ type: 'tts-audio', audio: Buffer.from(samples.slice(at, at + chunk).buffer) });
    await pause(CHUNK_MS - 20); // waits: the rhythm of a producer
  }
  await add({ type: 'tts-stopped' });
}

async function byClient(samples: Int16Array, options: Parameters<typeof createFleet>[0]): Promise<void> {
  await using fleet = createFleet(options);
  const theirs = fleet.conversation(conversation.id);
  const { played } = await theirs.say(new Uint8Array(samples.buffer), { rate: RATE });
  expect(await played).toMatchObject({ whole: true });
  await theirs.close();
}

const waysIn: Readonly<Record<string, (samples: Int16Array) => Promise<unknown>>> = {
  'the frames stream': (samples) => world.producer.say(conversation.id, samples, 'live'),
  'HTTP frames': (samples) =>
    inTurn(samples, async (frame) => {
      const body = 'audio' in frame ? { ...frame, audio: frame.audio.toString('base64'), rate: RATE } : frame;
      const { status } = await world.caller.ask('POST', `/v1/conversations/${conversation.id}/frames`, body);
      expect(status).toBe(202);
    }),
  'the WebSocket': async (samples) => {
    const url = `${world.stack.api.url.replace('http', 'ws')}/v1/conversations/${conversation.id}/audio?producer=ways`;
    const socket = new WebSocket(url, { headers: { authorization: `Bearer ${world.stack.apiKey}` } });
    const opened = Promise.withResolvers<void>();
    socket.once('message', () => opened.resolve());
    socket.once('error', opened.reject);
    await opened.promise;
    await inTurn(samples, async (frame) => socket.send('audio' in frame ? frame.audio : JSON.stringify(frame)));
    socket.close();
  },
  'the client through Redis': (samples) => byClient(samples, { redis: world.stack.redisUrl }),
  'the client over the api': (samples) => byClient(samples, { url: world.stack.api.url, key: world.stack.apiKey }),
};

it.each(Object.entries(waysIn).map(([way, say], at) => ({ way, say, seed: 201 + 2 * at })))(
  '$way: the user room, sound, pictures and events bring what was said',
  async ({ way, say, seed }) => {
    const sent = speech(seed);
    const fromMs = Date.now();
    const before = conversation.events.length;
    await say(sent);
    const sinceMs = Date.now();
    await conversation.until(
      `the end of what came by ${way}`,
      ({ type, seenAtMs }) => type === 'bot-stopped-speaking' && seenAtMs >= sinceMs - 1_000,
    );
    const room = judge(sent, between(await user.report(signal()), fromMs, Date.now()));
    const blocks = (await blocksOf(world.producer.redis, conversation.id, 'audio')).filter(({ pts }) => pts >= fromMs);
    const stream = judge(sent, inTime(blocks));
    // From the first one on: an encoded picture cannot be read without those before it.
    const pictures = await world.users.read(await picturesOf(world.producer.redis, conversation.id), signal());
    const mouths = pictures.flatMap(({ pts, reading }) =>
      reading && pts >= fromMs ? [{ pts, mouth: reading.mouth }] : [],
    );
    const lips = lipLag(inTime(blocks), blocks[0]?.pts ?? 0, mouths);
    const told = conversation.events.slice(before).map(({ type }) => type);
    figures(`by ${way}`, { room, stream, lips, pictures: mouths.length, told: [...new Set(told)] });
    for (const { correlation, longestMissingMs, longestDuplicateMs } of [room, stream]) {
      expect(correlation).toBeGreaterThan(0.8);
      expect(longestMissingMs).toBeLessThanOrEqual(boundsMs.missing);
      expect(longestDuplicateMs).toBeLessThanOrEqual(boundsMs.gap);
    }
    expect(mouths.length).toBeGreaterThan(20);
    expect(lips.correlation).toBeGreaterThan(0.6);
    expect(Math.abs(lips.lagMs)).toBeLessThanOrEqual(APART_MS);
    for (const type of ['tts-started', 'bot-started-speaking', 'tts-stopped', 'bot-stopped-speaking'])
      expect(told.filter((each) => each === type)).toHaveLength(1);
  },
);
