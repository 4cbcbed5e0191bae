// What a backend reads of the pictures and of the users' voices with the client, over a line that is cut: the worker's own writer on real streams.
import { createFleet, type Conversation, type Fleet } from '@tavus-fleet/client';
import { conversationKeys, type UserAudioEntry, type VideoEntry } from '@tavus-fleet/contracts';
import { CutProxy, redisFixture } from '@tavus-fleet/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { StandInWorker } from './fixtures/stand-in-worker.ts';

// Jobs that are done are kept for a while and trimmed by BullMQ; what the fleet keeps of itself has no end.
const fixture = redisFixture({ allow: /:(sessions|control):|:\{fleet\}:/ });
const redis = fixture.connect();
let worker: StandInWorker;
let proxy: CutProxy;
let fleet: Fleet;
let conversation: Conversation;

beforeAll(() => {
  worker = new StandInWorker(fixture.url, fixture.keyPrefix);
});
afterAll(() => worker?.[Symbol.asyncDispose]());
beforeEach(async () => {
  proxy = await CutProxy.to(Number(new URL(fixture.url).port));
  fleet = createFleet({ redis: `redis://127.0.0.1:${proxy.port}`, keyPrefix: fixture.keyPrefix });
  conversation = await fleet.start({
    replicaId: 'r1',
    output: {
      streams: { video: { format: 'encoded' } },
      room: { url: 'https://acme.daily.co/lobby' },
      userAudio: true,
    },
  });
  await conversation.live();
});
afterEach(async () => {
  await conversation?.close();
  await fleet?.close();
  await proxy?.close();
});

const picture = (at: number): VideoEntry => ({
  format: 'vp8',
  width: 640,
  height: 360,
  pts: 1_000 + at * 40,
  key: at % 25 === 0,
  frame: new Uint8Array(1_000 + at).fill(at % 251),
});
const voice = (at: number): UserAudioEntry => ({
  rate: 24_000,
  channels: 1,
  pts: 5_000 + at * 20,
  audio: new Uint8Array(960).fill(at % 251),
  participant: at % 2 === 0 ? 'ada' : 'bob',
});

it('video(): every picture once and in order over a cut, to the byte, and to the end', async () => {
  const sent = Array.from({ length: 100 }, (_, at) => picture(at));
  const read: { id: string; entry: VideoEntry }[] = [];
  const reading = (async () => {
    for await (const { id, ...entry } of conversation.video()) {
      read.push({ id, entry });
      if (read.length === 30) proxy.cut();
      // Its own bytes from the first to the last: samples and views can be made of it.
      expect(entry.frame.buffer.byteLength).toBe(entry.frame.byteLength);
    }
  })();
  const { video } = conversationKeys(fixture.keyPrefix, conversation.id);
  for (const [at, one] of sent.entries()) {
    if (at === 50) await redis.xadd(video, '*', 'format', 'vp8', 'width', 'wide', 'pts', '1');
    expect(await worker.outputs(conversation.id).video([one])).toBe(true);
  }
  await conversation.stop();
  await reading;
  expect(read.map(({ entry }) => entry)).toEqual(sent);
  const behind: number[] = [];
  for await (const { pts } of conversation.video({ after: read[89]?.id ?? '' })) behind.push(pts);
  expect(behind).toEqual(sent.slice(90).map(({ pts }) => pts));
});

it('userAudio(): who said what, in order, over a cut; a slow reader has its own place', async () => {
  const sent = Array.from({ length: 120 }, (_, at) => voice(at));
  const slow = conversation.userAudio();
  const read: UserAudioEntry[] = [];
  const reading = (async () => {
    for await (const { id: _, ...entry } of conversation.userAudio()) {
      read.push(entry);
      if (read.length === 40) proxy.cut();
    }
  })();
  for (let at = 0; at < sent.length; at += 10)
    expect(await worker.outputs(conversation.id).userAudio(sent.slice(at, at + 10))).toBe(true);
  const first = await slow.next();
  expect(first.value).toMatchObject({ participant: 'ada', pts: 5_000 });
  await conversation.stop();
  await reading;
  expect(read).toEqual(sent);
  const rest: number[] = [];
  for await (const { pts } of slow) rest.push(pts);
  expect(rest).toEqual(sent.slice(1).map(({ pts }) => pts));
});

it('by the api they say where they are to be had', async () => {
  await using byApi = createFleet({ url: 'http://127.0.0.1:9', key: 'k' });
  await using other = byApi.conversation(conversation.id);
  await expect(other.video().next()).rejects.toMatchObject({ code: 'redis-only' });
  await expect(other.userAudio().next()).rejects.toMatchObject({ code: 'redis-only' });
  await conversation.stop();
  expect(await conversation.ended).toBe('stopped');
});
