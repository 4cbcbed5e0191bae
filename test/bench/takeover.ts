import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { firstSound } from '../e2e/fixtures/first-sound.ts';
import { RATE } from '../e2e/fixtures/producer.ts';
import { eventually, joinRoom, untilPictures } from '../e2e/fixtures/users.ts';
import { World } from '../e2e/fixtures/world.ts';
import type { BenchOptions } from './harness/bench.ts';
import { quantile, round } from './harness/quantiles.ts';

export const about =
  'kill -9 of a worker in the middle of speech until the avatar is heard again, by phase; real browsers and WebRTC';

/** What was on its way when the worker died is through by then: the replica's delay and two jitter buffers. */
const AFTERGLOW_MS = 1_000;
/** Two who may take over, so that one that was started a moment ago is none of them. */
const WORKERS = 3;
type Round = { readonly acquired: number; readonly live: number; readonly audible: number };

export async function run({ quick, signal, say }: BenchOptions): Promise<object> {
  const rounds = quick ? 3 : 20;
  const took: Round[] = [];
  await using world = await World.start();
  while (world.stack.workers.length < WORKERS) await world.stack.addWorker(signal);
  for (let n = 0; n < rounds && !signal.aborted; n += 1) {
    const one = await killed(world, n, signal);
    say(`${n + 1}: acquired ${one.acquired} ms, live ${one.live} ms, audible ${one.audible} ms after the kill`);
    took.push(one);
  }
  const { unended } = (await world.sim.state()).billing;
  if (unended.length > 0) throw new Error(`still billed: ${unended.join(', ')}`);
  const figures = (values: readonly number[]): object => ({
    p50: round(quantile(values, 0.5), 0),
    p95: round(quantile(values, 0.95), 0),
    max: round(Math.max(...values), 0),
  });
  return {
    kills: took.length,
    acquiredMs: figures(took.map(({ acquired }) => acquired)),
    liveMs: figures(took.map(({ live }) => live)),
    audibleMs: figures(took.map(({ audible }) => audible)),
    goal: { audibleP95Ms: 5_000 },
    unended: 0,
  };
}

async function killed(world: World, n: number, signal: AbortSignal): Promise<Round> {
  const name = `takeover-${n}`;
  const user = await joinRoom(world.users, world.sim.url, name);
  const conversation = await world.caller.start({ output: { room: { url: `${world.sim.url}/rooms/${name}` } } });
  await conversation.untilState('live');
  await untilPictures(user, 3);
  const { workerId } = await conversation.view();
  const owner = world.stack.workers.find((worker) => worker.ready['workerId'] === workerId);
  if (!owner) throw new Error('No worker of the stack owns the conversation.');
  const said = world.producer.say(conversation.id, chirpWalk({ rate: RATE, ms: 6_500, seed: n + 1 }), 'live');
  await conversation.until('speech', ({ type }) => type === 'bot-started-speaking');

  const killedAt = Date.now();
  owner.kill('SIGKILL');
  const record = `fleet:{${conversation.id}}:record`;
  await eventually('it is acquired', async () => (await world.producer.redis.hget(record, 'epoch')) === '2', 20_000);
  const acquired = Date.now() - killedAt;
  const taken = await conversation.until('a takeover', ({ type }) => type === 'takeover');
  const replacing = world.stack.addWorker(signal); // in place of the dead one, while this one is judged
  await said;
  const heard = firstSound(await user.report(AbortSignal.timeout(20_000)), killedAt + AFTERGLOW_MS);
  if (heard === undefined) throw new Error('Nothing was heard after the takeover.');
  await replacing;
  await conversation.post('cancel');
  await conversation.untilEnded();
  await user.leave(AbortSignal.timeout(10_000));
  return { acquired, live: taken.seenAtMs - killedAt, audible: Math.round(heard - killedAt) };
}
