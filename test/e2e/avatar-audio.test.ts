// The avatar's voice as a stream for the backend, read with a plain driver: whole, in time, and without a trace when not asked for.
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectWhole, figures, judge } from './fixtures/judge.ts';
import { RATE } from './fixtures/producer.ts';
import { blocksOf, inOrder, inTime } from './fixtures/streams.ts';
import { World } from './fixtures/world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

it('is what the replica said, at the times it was said', async () => {
  const conversation = await world.caller.start({ output: { streams: { audio: true } } });
  await conversation.untilState('live');
  const sent = chirpWalk({ rate: RATE, ms: 4_000, seed: 81 });
  const { firstAtMs, lastAtMs } = await world.producer.say(conversation.id, sent, 'live');
  await conversation.until(
    'the end of speech',
    ({ type, seenAtMs }) => type === 'bot-stopped-speaking' && seenAtMs > lastAtMs,
  );
  const blocks = (await blocksOf(world.producer.redis, conversation.id, 'audio')).filter(({ pts }) => pts >= firstAtMs);
  expect(blocks.every(({ rate, channels }) => rate === RATE && channels === 1)).toBe(true);
  await conversation.post('stop');
  expect(await conversation.untilEnded()).toBe('stopped');
  const ordered = judge(sent, inOrder(blocks));
  const timed = judge(sent, inTime(blocks));
  const { replicaDelayMs } = await world.sim.settings();
  figures('avatar audio', { ordered, timed, firstSoundMs: (timed.lagMs ?? 0) - replicaDelayMs });
  expectWhole(ordered);
  expectWhole(timed);
  expect(blocks.every(({ pts }, at) => pts > (blocks[at - 1]?.pts ?? 0))).toBe(true);
  // Said within the utterance and what the way takes, not some other time: the clock is the machine's.
  expect(timed.lagMs).toBeGreaterThan(replicaDelayMs);
  expect(timed.lagMs).toBeLessThan(2_000);
  expect(conversation.of('frames-dropped')).toEqual([]);
});

it('is not there when nobody asked', async () => {
  const conversation = await world.caller.start({});
  await conversation.untilState('live');
  await world.producer.say(conversation.id, chirpWalk({ rate: RATE, ms: 500, seed: 82 }), 'live');
  await conversation.post('stop');
  await conversation.untilEnded();
  expect(await blocksOf(world.producer.redis, conversation.id, 'audio')).toEqual([]);
});
