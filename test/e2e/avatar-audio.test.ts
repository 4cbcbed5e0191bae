// The avatar's voice as a stream for the backend, read with a plain driver: whole, in time, and without a trace when not asked for.
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectWhole, figures, judge } from './fixtures/judge.ts';
import { RATE } from './fixtures/producer.ts';
import { World } from './fixtures/world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

type Block = { readonly pts: number; readonly samples: Int16Array };

async function blocksOf(conversationId: string): Promise<Block[]> {
  const entries = await world.producer.redis.xrangeBuffer(`fleet:{${conversationId}}:audio`, '-', '+');
  return entries.map(([, pairs]) => {
    const field = (name: string): Buffer =>
      pairs[pairs.findIndex((pair, at) => at % 2 === 0 && pair.toString() === name) + 1] ?? Buffer.alloc(0);
    expect(field('rate').toString()).toBe(String(RATE));
    expect(field('channels').toString()).toBe('1');
    const audio = field('audio');
    return { pts: Number(field('pts').toString()), samples: new Int16Array(new Uint8Array(audio).buffer) };
  });
}

/** Each block where its presentation time says: a wrong time would be heard. */
function byTime(blocks: readonly Block[]): Int16Array {
  const [first, last] = [blocks[0], blocks.at(-1)];
  if (!first || !last) return new Int16Array(0);
  const at = (pts: number): number => Math.round(((pts - first.pts) * RATE) / 1_000);
  const heard = new Int16Array(at(last.pts) + last.samples.length);
  for (const { pts, samples } of blocks) heard.set(samples, at(pts));
  return heard;
}

it('is what the replica said, at the times it was said', async () => {
  const conversation = await world.caller.start({ output: { streams: { audio: true } } });
  await conversation.untilState('live');
  const sent = chirpWalk({ rate: RATE, ms: 4_000, seed: 81 });
  const { firstAtMs, lastAtMs } = await world.producer.say(conversation.id, sent, 'live');
  await conversation.until(
    'the end of speech',
    ({ type, seenAtMs }) => type === 'bot-stopped-speaking' && seenAtMs > lastAtMs,
  );
  const blocks = (await blocksOf(conversation.id)).filter(({ pts }) => pts >= firstAtMs);
  await conversation.post('stop');
  expect(await conversation.untilEnded()).toBe('stopped');
  const inOrder = judge(sent, Int16Array.from(blocks.flatMap(({ samples }) => [...samples])));
  const inTime = judge(sent, byTime(blocks));
  const { replicaDelayMs } = await world.sim.settings();
  figures('avatar audio', { inOrder, inTime, firstSoundMs: (inTime.lagMs ?? 0) - replicaDelayMs });
  expectWhole(inOrder);
  expectWhole(inTime);
  expect(blocks.every(({ pts }, at) => pts > (blocks[at - 1]?.pts ?? 0))).toBe(true);
  // Said within the utterance and what the way takes, not some other time: the clock is the machine's.
  expect(inTime.lagMs).toBeGreaterThan(replicaDelayMs);
  expect(inTime.lagMs).toBeLessThan(2_000);
  expect(conversation.of('frames-dropped')).toEqual([]);
});

it('is not there when nobody asked', async () => {
  const conversation = await world.caller.start({});
  await conversation.untilState('live');
  await world.producer.say(conversation.id, chirpWalk({ rate: RATE, ms: 500, seed: 82 }), 'live');
  await conversation.post('stop');
  await conversation.untilEnded();
  expect(await blocksOf(conversation.id)).toEqual([]);
});
