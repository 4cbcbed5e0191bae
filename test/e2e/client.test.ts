// A backend with the client on real media, both ways: its lines are cut in the middle of an utterance, and the replica hears it whole, once.
import { setTimeout as pause } from 'node:timers/promises';
import { createFleet, type EventEnvelope, type FleetOptions } from '@tavus-fleet/client';
import { CutProxy } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectWhole, figures, judge } from './fixtures/judge.ts';
import { RATE } from './fixtures/producer.ts';
import { World } from './fixtures/world.ts';

const PORTION_MS = 60;

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

/** A voice as a TTS makes it, a little faster than it is heard; its portions end in the middle of samples. `at` is told how much was made, ms. */
async function* voice(samples: Int16Array, at: (ms: number) => void): AsyncGenerator<Uint8Array, void, void> {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  const portion = (RATE / 1_000) * 2 * PORTION_MS + 1;
  for (let from = 0; from < bytes.length; from += portion) {
    yield bytes.subarray(from, from + portion);
    at((from / 2 / RATE) * 1_000);
    await pause(PORTION_MS - 10);
  }
}

const ways: { way: string; seed: number; serves: () => string; options: (port: number) => FleetOptions }[] = [
  {
    way: 'through Redis',
    seed: 91,
    serves: () => world.stack.redisUrl,
    options: (port) => ({ redis: `redis://127.0.0.1:${port}` }),
  },
  {
    way: 'over the api',
    seed: 92,
    serves: () => world.stack.api.url,
    options: (port) => ({ url: `http://127.0.0.1:${port}`, key: world.stack.apiKey }),
  },
];

it.each(ways)(
  '$way: heard whole and once, every event told once, though the lines are cut',
  async ({ seed, serves, options, way }) => {
    const proxy = await CutProxy.to(Number(new URL(serves()).port));
    await using fleet = createFleet(options(proxy.port));
    const conversation = await fleet.start({ replicaId: 'r-test' });
    const events: EventEnvelope[] = [];
    const watching = (async () => {
      for await (const event of conversation.events()) events.push(event);
    })();
    await conversation.live();

    const sent = chirpWalk({ rate: RATE, ms: 4_000, seed });
    const cuts = [1_000, 1_900, 2_800];
    let mostBufferedMs = 0;
    const cutWhenDue = (ms: number): void => {
      mostBufferedMs = Math.max(mostBufferedMs, conversation.bufferedMs);
      if (ms < (cuts[0] ?? Number.POSITIVE_INFINITY)) return;
      cuts.shift();
      proxy.cut();
    };
    const said = await conversation.say(voice(sent, cutWhenDue), { rate: RATE, context: 'cut' });
    const played = await said.played;
    await conversation.stop();
    expect(await conversation.ended).toBe('stopped');
    await watching;

    const { tavusConversationId = '' } = await conversation.view();
    const heard = judge(sent, await world.sim.heard(tavusConversationId));
    figures(`client ${way}`, { sentMs: said.sentMs, played, mostBufferedMs, events: events.length, heard });
    expect(cuts).toEqual([]);
    expect(said).toMatchObject({ context: 'cut', sentMs: 4_000, interrupted: false });
    expect(played).toEqual({ whole: true, playedMs: 4_000 });
    expect(mostBufferedMs).toBeGreaterThan(0);
    expectWhole(heard);
    // What the stream holds is the measure: nothing of it is missing, nothing is there twice.
    const inRedis = await world.producer.redis.xrange(`fleet:{${conversation.id}}:events`, '-', '+');
    // It ends with `ended`; Tavus may call back with the transcript after that.
    const told = inRedis.slice(0, inRedis.findIndex(([, fields]) => fields.includes('ended')) + 1);
    expect(events.map(({ id }) => id)).toEqual(told.map(([id]) => id));
    expect(events.filter(({ type }) => type === 'tts-started' || type === 'tts-stopped')).toHaveLength(2);
    expect(events.some(({ type }) => type === 'frames-dropped')).toBe(false);
    await proxy.close();
  },
);

it('is silenced in the middle of an utterance, knows how much was heard, and is heard again', async () => {
  await using fleet = createFleet({ url: world.stack.api.url, key: world.stack.apiKey });
  const conversation = await fleet.start({ replicaId: 'r-test' });
  await conversation.live();
  const long = chirpWalk({ rate: RATE, ms: 8_000, seed: 93 });
  const saying = conversation.say(new Uint8Array(long.buffer), { rate: RATE });
  for await (const { type } of conversation.events()) if (type === 'bot-started-speaking') break;
  await pause(1_000); // waits: in the middle of the utterance
  await fleet.conversation(conversation.id).interrupt(); // as another process would
  const { played } = await saying;
  const { whole, playedMs } = await played;
  const next = chirpWalk({ rate: RATE, ms: 1_500, seed: 94 });
  await (
    await conversation.say(new Uint8Array(next.buffer), { rate: RATE })
  ).played;
  await conversation.stop();
  expect(await conversation.ended).toBe('stopped');
  const atReplica = await world.sim.heard((await conversation.view()).tavusConversationId ?? '');
  const heard = judge(next, atReplica.subarray(-RATE * 4));
  figures('client interrupted', { playedMs, heard });
  expect(whole).toBe(false);
  expect(playedMs).toBeGreaterThan(700);
  expect(playedMs).toBeLessThan(4_000);
  expectWhole(heard);
});
