import { FleetError } from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import type { HandOverStep } from '@tavus-fleet/redis';
import { expect, it } from 'vitest';
import { Giving } from '../session/giving.ts';
import { OwnerSide } from './owner.ts';

const ownership = { conversationId: 'c1', epoch: 1, nonce: 'n'.repeat(16) };

/** The real owner's side and the real Giving, on a fake Redis that a test moves from step to step. */
function setup() {
  const clock = new FakeClock();
  const log: string[] = [];
  const world = {
    step: 'offered' as HandOverStep | 'void',
    /** Of the conversation c2, where there is one. */
    other: 'ready' as HandOverStep | 'void',
    atRest: true,
    redisDown: false,
    give: 'given' as 'given' | 'refused' | 'fenced',
    pauseFails: false,
  };
  const redis = <T>(answer: T): T => {
    if (world.redisDown) throw new FleetError('redis-unavailable', 'Redis does not answer.');
    return answer;
  };
  const givingOf = (conversationId: string, fallSilent: () => Promise<void>): Giving =>
    new Giving({
      ownership: { ...ownership, conversationId },
      inUserRoom: true,
      room: { endUserAudio: fallSilent },
      service: {
        get atRest() {
          return world.atRest;
        },
        pause: async () => {
          log.push('pause');
          if (world.pauseFails) throw new FleetError('deadline-exceeded', 'The page does not answer.');
        },
        resume: async () => void log.push('resume'),
      },
      feed: { isEmpty: true, pause: () => void log.push('deaf'), resume: () => void log.push('hears') },
      progress: () => ({ position: '7-0', positionMs: 12, counters: COUNTERS, metrics: {} }),
      closing: [{ close: () => void log.push('closed') }, undefined],
      end: (how) => void log.push(how),
    });
  const giving = givingOf('c1', async () => void log.push('silent'));
  let token = 0;
  const side = new OwnerSide({
    clock,
    log: { info: () => undefined, warn: (_, message) => void log.push(message) },
    port: {
      offer: async ({ token: made }) => {
        redis(0);
        world.step = 'offered';
        log.push(`offer ${made}`);
        return 'offered';
      },
      look: async (id) => redis(id === 'c2' ? world.other : world.step),
      withdraw: async () => void log.push('withdraw'),
      give: async ({ owner }, at) => {
        redis(0);
        log.push(`give ${at.position}+${at.positionMs}`);
        if (world.give === 'given') world[owner.conversationId === 'c2' ? 'other' : 'step'] = 'given';
        return world.give;
      },
      silent: async () => void log.push('told'),
      newToken: () => String(++token),
    },
  });
  const stop = new AbortController();
  const run = (): Promise<'given' | 'kept'> => side.handOver(() => giving, stop.signal);
  return { clock, log, world, giving, givingOf, side, run, stop };
}
const COUNTERS = { framesIn: 1, framesMalformed: 0, framesDropped: 0, utterances: 1, interruptions: 0, playedMs: 0 };

it('between two utterances: gives where it stands, falls silent, and leaves when the heir is seen', async () => {
  const { clock, log, world, run } = setup();
  const outcome = run();
  await clock.pass(300);
  world.step = 'ready';
  await clock.pass(200);
  expect(log).toEqual(['offer 1', 'deaf', 'pause', 'give 7-0+12', 'closed', 'silent', 'told']);
  world.step = 'shown';
  await clock.pass(100);
  expect(await outcome).toBe('given');
  expect(log.at(-1)).toBe('handed-over');
  expect(clock.pending).toBe(0);
});

it('one of a worker’s conversations after the other: the next pauses when the heir of the one before is seen', async () => {
  const { clock, log, world, givingOf, side, stop } = setup();
  const outcomes = ['c1', 'c2'].map((id) => {
    const giving = givingOf(id, async () => void log.push('silent'));
    return side.handOver(() => giving, stop.signal);
  });
  const pauses = (): number => log.filter((line) => line === 'pause').length;
  await clock.pass(10);
  world.step = 'ready';
  await clock.pass(1_000);
  expect(pauses()).toBe(1);
  world.other = 'shown'; // c2 was ready first
  await clock.pass(100);
  expect(pauses()).toBe(2);
  world.step = 'shown';
  await clock.pass(100);
  expect(await Promise.all(outcomes)).toEqual(['given', 'given']);
  expect(clock.pending).toBe(0);
});

it('nobody waits for the others of its worker beyond its own time', async () => {
  const { clock, log, world, givingOf, side, stop } = setup();
  const never = new Promise<void>(() => undefined);
  for (const id of ['c1', 'c2']) {
    const giving = givingOf(id, () => never);
    void side.handOver(() => giving, stop.signal);
  }
  await clock.pass(10);
  world.step = 'ready';
  await clock.pass(7_000);
  expect(log.filter((line) => line === 'pause')).toHaveLength(1);
  await clock.pass(1_500);
  expect(log.filter((line) => line === 'pause')).toHaveLength(2);
  stop.abort();
});

it('in the middle of one it waits 5 s for its end, and not longer', async () => {
  const { clock, log, world, run } = setup();
  world.atRest = false;
  const outcome = run();
  await clock.pass(10);
  world.step = 'ready';
  await clock.pass(4_900);
  expect(log).toEqual(['offer 1']);
  await clock.pass(400);
  expect(log).toContain('give 7-0+12');
  world.step = 'shown';
  await clock.pass(100);
  expect(await outcome).toBe('given');
});

it.each(['void', 'declined'] as const)(
  'an heir that is %s before it is ready: offers anew and goes on',
  async (step) => {
    const { clock, log, world, run, stop } = setup();
    const outcome = run();
    await clock.pass(100);
    world.step = step;
    await clock.pass(400);
    expect(log).toEqual(['offer 1', 'offer 2']);
    stop.abort();
    await clock.pass(200);
    expect(await outcome).toBe('kept');
    expect(log.at(-1)).toBe('withdraw');
  },
);

it('an heir that gets lost while an end is waited for costs nothing', async () => {
  const { clock, log, world, run, stop } = setup();
  world.atRest = false;
  const outcome = run();
  await clock.pass(10);
  world.step = 'ready';
  await clock.pass(1_000);
  world.step = 'void';
  world.atRest = true;
  await clock.pass(500);
  expect(log).not.toContain('pause');
  expect(log).toContain('offer 2');
  stop.abort();
  await clock.pass(200);
  expect(await outcome).toBe('kept');
});

it.each([
  { when: 'Redis refuses', change: (world: ReturnType<typeof setup>['world']) => (world.give = 'refused') },
  {
    when: 'the page does not say where it stands',
    change: (world: ReturnType<typeof setup>['world']) => (world.pauseFails = true),
  },
])('resumes when $when', async ({ change }) => {
  const { clock, log, world, giving, run, stop } = setup();
  change(world);
  const outcome = run();
  await clock.pass(10);
  world.step = 'ready';
  await clock.pass(200);
  stop.abort();
  await clock.pass(400);
  expect(await outcome).toBe('kept');
  expect(log.slice(log.indexOf('pause')).filter((line) => /resume|hears|closed/.test(line))).toEqual([
    'resume',
    'hears',
  ]);
  expect(giving.isUnderWay).toBe(false);
});

it('without an answer of Redis it neither plays nor leaves until it knows', async () => {
  const { clock, log, world, giving, run } = setup();
  const outcome = run();
  await clock.pass(10);
  world.step = 'ready';
  await clock.pass(140);
  world.redisDown = true;
  await clock.pass(20_000);
  if (!log.includes('pause')) {
    world.redisDown = false; // the silence came before the pause: nothing has begun
    await clock.pass(200);
  }
  expect(giving.isUnderWay).toBe(true);
  world.redisDown = false;
  await clock.pass(2_000);
  world.step = 'shown';
  await clock.pass(100);
  expect(await outcome).toBe('given');
  expect(log).not.toContain('resume');
});

it('fenced: somebody else owns it, and it leaves as whoever has lost its lease does', async () => {
  const { clock, log, world, run, stop } = setup();
  world.give = 'fenced';
  const outcome = run();
  await clock.pass(10);
  world.step = 'ready';
  await clock.pass(300);
  expect(log).toContain('abandon');
  stop.abort();
  await clock.pass(300);
  await outcome;
  expect(log).not.toContain('resume');
});

it('an heir that is never seen: the picture stays for 8 s, then the owner leaves', async () => {
  const { clock, log, world, run } = setup();
  const outcome = run();
  await clock.pass(10);
  world.step = 'ready';
  await clock.pass(7_000);
  expect(log).not.toContain('handed-over');
  await clock.pass(2_000);
  expect(await outcome).toBe('given');
  expect(log.at(-1)).toBe('handed-over');
});
