import type { Desired, Ownership } from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { expect, test } from 'vitest';
import { Sessions } from './sessions.ts';
import { whyNotOneMore, type Load } from './admission.ts';
import { SessionWorld } from './session/test-world.ts';

type Told = { lost(): void; desired(verb: Desired): void };

function setup(
  options: {
    capacity?: number;
    acquire?: () => Promise<void>;
    refused?: 'held' | 'final';
    short?: 'cpu';
    fenced?: boolean;
  } = {},
) {
  const clock = new FakeClock();
  const worlds: SessionWorld[] = [];
  const told: Told[] = [];
  const released: number[] = [];
  const recovered: boolean[] = [];
  const quiet = { warn: () => undefined, error: () => undefined };
  const first = new SessionWorld();
  const sessions = new Sessions({
    capacity: options.capacity ?? 2,
    clock,
    log: quiet,
    port: {
      // Safe: the table reads only the id and the epoch of a record.
      recordOf: async () => ({ conversationId: 'c1', epoch: 0 }) as never,
      record: async () => ({ conversationId: 'c1', epoch: 0 }) as never,
      recover: async (owner, crashed) => {
        recovered.push(crashed);
        if (options.fenced) return { refused: 'fenced' };
        const ownership = { ...owner, epoch: owner.epoch + 1 };
        return { ownership, redisNowMs: 0, predecessor: { epoch: owner.epoch, crashes: 1, seenAt: 0 } };
      },
      takenOver: () => undefined,
      handOver: async () => 'kept',
      expected: () => 0,
      acquire: async () => {
        await options.acquire?.();
        if (options.refused) return { refused: options.refused };
        const ownership: Ownership = { conversationId: 'c1', epoch: worlds.length + 1, nonce: 'n'.repeat(16) };
        return { ownership, redisNowMs: 0 };
      },
      hold: (ownership, listener) => {
        told.push(listener);
        return { release: async () => void released.push(ownership.epoch), forget: () => undefined };
      },
      session: () => {
        const world = worlds.length === 0 ? first : new SessionWorld();
        worlds.push(world);
        return world.session;
      },
      redisUp: () => true,
      short: () => options.short,
    },
  });
  const pass = async (ms: number): Promise<void> => {
    await clock.pass(ms);
    for (const world of [first, ...worlds.slice(1)]) await world.clock.pass(ms);
  };
  return { sessions, worlds, told, released, recovered, pass, clock };
}

const data = { v: 1, conversationId: 'c1' } as const;

test.each([
  { refused: 'held', kind: 'elsewhere' },
  { refused: 'final', kind: 'over' },
] as const)('a conversation that is $refused is $kind and takes no slot', async ({ refused, kind }) => {
  const { sessions } = setup({ refused });
  expect(await sessions.start(data)).toEqual({ kind });
  expect(sessions.slots()).toEqual({ free: 2, starting: 0, live: 0, stopping: 0, braked: 0, closed: 0 });
});

test('a slot is taken in the turn of the call, and free when everything was given back', async () => {
  const { sessions, worlds, pass, released } = setup({ capacity: 1 });
  const starting = sessions.start(data);
  expect(sessions.whyNotOneMore()).toBe('full');
  await pass(10);
  worlds[0]?.room.emit({ type: 'video-arrived' });
  await pass(10);
  expect(await starting).toEqual({ kind: 'live' });
  expect(sessions.slots()).toMatchObject({ free: 0, live: 1 });
  worlds[0]?.send({ type: 'cancel' });
  await pass(1_000);
  expect(released).toEqual([1]);
  expect(sessions.slots()).toMatchObject({ free: 1 });
});

test('a conversation that was lost and comes back while the old session still leaves is not forgotten with it', async () => {
  const { sessions, worlds, pass, told } = setup();
  void sessions.start(data);
  await pass(10);
  told[0]?.lost();
  void sessions.start(data);
  await pass(100);
  expect(worlds).toHaveLength(2);
  expect(sessions.list()).toEqual([expect.objectContaining({ state: 'starting' })]);
  expect(sessions.find('c1')).toBe(worlds[1]?.session);
});

test('a start that the drain overtakes gives lease and job back; the drain waits for it', async () => {
  const gate = Promise.withResolvers<void>();
  const { sessions, released, worlds, pass } = setup({ acquire: () => gate.promise });
  const starting = sessions.start(data);
  await pass(0); // its acquire is under way
  let drained = false;
  const draining = sessions.drain('drained', 60_000).then(() => (drained = true));
  await Promise.resolve();
  expect(drained).toBe(false);
  gate.resolve();
  expect(await starting).toEqual({ kind: 'not-now' });
  await draining;
  expect(released).toEqual([1]);
  expect(worlds).toEqual([]);
  expect(await sessions.start(data)).toEqual({ kind: 'not-now' });
});

test('the mark of a stop that never comes is put at the tail after 2 s; its timer goes with the session', async () => {
  const { sessions, worlds, told, pass, clock } = setup();
  void sessions.start(data);
  await pass(10);
  worlds[0]?.room.emit({ type: 'video-arrived' });
  await pass(10);
  told[0]?.desired('stop');
  await pass(1_900);
  expect(sessions.list()).toMatchObject([{ state: 'live' }]);
  await pass(200);
  await pass(2_000);
  expect(worlds[0]?.log.at(-1)).toBe('ended stopped');

  const other = setup();
  void other.sessions.start(data);
  await other.pass(10);
  other.told[0]?.desired('stop');
  other.told[0]?.desired('cancel');
  await other.pass(100);
  expect(other.sessions.size).toBe(0);
  expect([clock.pending, other.clock.pending]).toEqual([0, 0]);
});

test('an overloaded worker has no free slots, and says so', () => {
  const { sessions } = setup({ short: 'cpu' });
  expect(sessions.whyNotOneMore()).toBe('short-of-cpu');
  expect(sessions.whyNotTakeOver()).toBeUndefined();
  expect(sessions.slots()).toMatchObject({ free: 0, braked: 2 });
});

test.each([
  { what: 'a page that died counts as a lost owner', code: 'page-crashed', crashed: true },
  { what: 'a room that was lost does not', code: 'room-lost', crashed: false },
] as const)('$what; the next session takes its place, in the same slot', async ({ code, crashed }) => {
  const { sessions, worlds, pass, recovered, released } = setup({ capacity: 1 });
  const starting = sessions.start(data);
  await pass(10);
  const room = worlds[0]?.room;
  room?.emit(
    code === 'room-lost' ? { type: 'lost', room: 'tavus', code, reason: 'x' } : { type: 'closed', code, reason: 'x' },
  );
  await pass(100);
  expect(recovered).toEqual([crashed]);
  expect(worlds).toHaveLength(2);
  expect(sessions.whyNotOneMore()).toBe('full');
  worlds[1]?.room.emit({ type: 'video-arrived' });
  await pass(10);
  expect(await starting).toEqual({ kind: 'live' });
  worlds[1]?.send({ type: 'cancel' });
  await pass(1_000);
  expect(sessions.size).toBe(0);
  expect(released).toHaveLength(1);
});

test('a session that may not begin anew is somebody else’s by now', async () => {
  const { sessions, worlds, pass, released } = setup({ fenced: true });
  const starting = sessions.start(data);
  await pass(10);
  worlds[0]?.room.emit({ type: 'closed', code: 'page-silent', reason: 'frozen' });
  await pass(100);
  expect(await starting).toEqual({ kind: 'elsewhere' });
  expect([worlds.length, sessions.size, released.length]).toEqual([1, 0, 0]);
});

test('a drain goes with the conversation into its next session', async () => {
  const { sessions, worlds, pass } = setup();
  void sessions.start(data);
  await pass(10);
  worlds[0]?.room.emit({ type: 'video-arrived' });
  await pass(10);
  worlds[0]?.room.emit({ type: 'closed', code: 'page-crashed', reason: 'x' });
  const drained = sessions.drain('drained', 60_000);
  await pass(5_000);
  await drained;
  expect(worlds.at(-1)?.log.at(-1)).toBe('ended drained');
});

test.each<{ load: Partial<Load>; why: string | undefined }>([
  { load: {}, why: undefined },
  { load: { draining: true, redisUp: false }, why: 'draining' },
  { load: { redisUp: false }, why: 'redis-down' },
  { load: { short: 'cpu' }, why: 'short-of-cpu' },
  { load: { live: 1, starting: 1 }, why: 'full' },
])('with $load one more is refused as $why', ({ load, why }) => {
  const idle = { live: 0, starting: 0, capacity: 2, draining: false, redisUp: true, short: undefined };
  expect(whyNotOneMore({ ...idle, ...load })).toBe(why);
});
