// One conversation that is interrupted again and again, at any point of an utterance: whatever was cut is not heard any more,
// and everything said afterwards is heard whole.
import { setTimeout as pause } from 'node:timers/promises';
import { chirpWalk, correlate } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { between, expectWhole, figures, judge, lastSoundAt, type Judgement } from './fixtures/judge.ts';
import { RATE } from './fixtures/producer.ts';
import { eventually, joinRoom, untilPictures } from './fixtures/users.ts';
import { World } from './fixtures/world.ts';

const TIMES = process.env['FULL'] === '1' ? 200 : 10;
/** A listener keeps two and a half minutes: this many rounds, then another one comes. */
const ROUNDS_PER_USER = 20;
const NOISE = process.env['CI'] ? 3 : 1;

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

const walk = (ms: number, seed: number): Int16Array => chirpWalk({ rate: RATE, ms, seed });

type Round = { readonly interruptedMs: number; readonly next: Int16Array; readonly nextFromMs: number; toMs: number };

it(
  `is interrupted ${TIMES} times: nothing stale is heard, and every later utterance is heard whole`,
  async () => {
    const room = 'interrupted';
    let user = await joinRoom(world.users, world.sim.url, room);
    const conversation = await world.caller.start({ output: { room: { url: `${world.sim.url}/rooms/${room}` } } });
    await conversation.untilState('live');
    await untilPictures(user, 5);

    const toSilence: number[] = [];
    const heard: Judgement[] = [];
    let stale = 0;
    let rounds: Round[] = [];
    const settle = async (): Promise<void> => {
      const report = await user.report(AbortSignal.timeout(15_000));
      for (const { interruptedMs, next, nextFromMs, toMs } of rounds) {
        toSilence.push((lastSoundAt(report, interruptedMs, nextFromMs) ?? interruptedMs) - interruptedMs);
        const sound = between(report, nextFromMs, toMs);
        heard.push(judge(next, sound));
        // Nothing else is in there: cut after 300 ms, the old utterance would be found somewhere before the new one begins.
        const first = correlate(next.subarray(0, RATE / 5), sound, RATE / 5).lagSamples;
        if (hasSound(sound.subarray(0, Math.max(0, first - RATE / 50)))) stale += 1;
      }
      rounds = [];
    };

    for (let time = 0; time < TIMES; time += 1) {
      if (rounds.length === ROUNDS_PER_USER) {
        await settle();
        const before = user;
        user = await joinRoom(world.users, world.sim.url, room);
        await untilPictures(user, 3);
        await before.leave(AbortSignal.timeout(5_000));
      }
      const starts = conversation.of('bot-started-speaking').length;
      await world.producer.say(conversation.id, walk(4_000, 1_000 + time), 'burst');
      await eventually('speech', () => conversation.of('bot-started-speaking').length > starts, 5_000);
      await pause(100 + ((time * 37) % 600)); // waits: somewhere in the utterance
      const interruptedMs = Date.now();
      const interruptions = conversation.of('interrupted').length;
      await conversation.post('interrupt');
      await eventually('the interruption', () => conversation.of('interrupted').length > interruptions, 5_000);
      await pause(400); // waits: the silence after it is what is looked at
      const next = walk(600, 5_000 + time);
      const { firstAtMs } = await world.producer.say(conversation.id, next, 'burst');
      const round: Round = { interruptedMs, next, nextFromMs: firstAtMs, toMs: 0 };
      rounds.push(round);
      const seen = (type: string): number => conversation.of(type).at(-1)?.seenAtMs ?? 0;
      await eventually(
        'the end of speech',
        () => seen('bot-started-speaking') > firstAtMs && seen('bot-stopped-speaking') > seen('bot-started-speaking'),
        8_000,
      );
      round.toMs = Date.now();
    }
    await settle();
    await conversation.post('stop');
    expect(await conversation.untilEnded()).toBe('stopped');

    const sorted = toSilence.toSorted((a, b) => a - b);
    figures('interruptions', {
      times: TIMES,
      stale,
      toSilenceMs: { median: sorted[sorted.length >> 1], max: sorted.at(-1) },
      worst: heard.toSorted((a, b) => b.longestMissingMs - a.longestMissingMs)[0],
    });
    expect(heard).toHaveLength(TIMES);
    for (const one of heard) expectWhole(one);
    expect(stale).toBe(0);
    expect(sorted[sorted.length >> 1]).toBeLessThanOrEqual(250 * NOISE);
    expect(conversation.of('interrupted')).toHaveLength(TIMES);
    expect((await world.sim.state()).billing.unended).toEqual([]);
  },
  60_000 + TIMES * 8_000,
);

/** Whether anything in it is above -40 dB of full scale. */
function hasSound(samples: Int16Array): boolean {
  return samples.some((sample) => Math.abs(sample) > 327);
}
