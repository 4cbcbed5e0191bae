import { FleetError, type ConversationRecord } from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import type { Claim, HandOverStep } from '@tavus-fleet/redis';
import { FakeRooms } from '@tavus-fleet/rooms';
import { expect, it } from 'vitest';
import { Heirs } from './heirs.ts';
import { PreparedRoom } from './prepared-room.ts';

const replica = { id: 'replica', userId: 'tavus-replica-1', local: false, tracks: {} };
const claimOf = (id: string): Claim => ({
  ownership: { conversationId: id, epoch: 4, nonce: 'n'.repeat(16) },
  ownerEpoch: 3,
  token: 't',
});
// Safe: what is prepared reads only these.
const recordWith = (mode: 'stream' | 'echo') =>
  ({
    conversationId: 'c1',
    spec: { output: { room: {} }, tavus: {}, audio: { mode } },
  }) as unknown as ConversationRecord;

/** The real heir's side and the real prepared room, on fake rooms and a fake Redis that a test moves from step to step. */
function setup(mode: 'stream' | 'echo' = 'stream') {
  const clock = new FakeClock();
  const rooms = new FakeRooms(clock);
  rooms.prepare = (room) => {
    room.participants = [replica];
  };
  const log: string[] = [];
  const adopted: PreparedRoom[] = [];
  const world = {
    offers: ['c1'],
    step: 'claimed' as HandOverStep | 'void',
    why: undefined as string | undefined,
    live: Promise.resolve(),
  };
  const heirs = new Heirs(
    {
      log: { info: () => undefined, warn: (_, message) => void log.push(message) },
      whyNotOneMore: () => world.why,
      open: async () => world.offers,
      claim: async (id) => {
        world.offers = world.offers.filter((other) => other !== id);
        return claimOf(id);
      },
      steps: async (_, step) => {
        log.push(step);
        if (step === 'declined' && world.step === 'given') return 'refused';
        world.step = step;
        return 'taken';
      },
      look: async () => world.step,
      record: async () => recordWith(mode),
      prepare: (claim, of, signal) =>
        PreparedRoom.prepare(
          {
            rooms,
            clock,
            record: of,
            secrets: { conversationUrl: 'https://tavus.daily.co/t', userRoomUrl: 'https://acme.daily.co/u' },
            ownerEpoch: claim.ownerEpoch,
          },
          signal,
        ),
      adopt: async (_, room) => {
        adopted.push(room);
        return { live: world.live };
      },
    },
    clock,
    (error) => void log.push(String(error)),
  );
  heirs.start();
  const seen = async (): Promise<void> => {
    await clock.pass(300);
    rooms.last.emit({ type: 'video-arrived' });
    await clock.pass(100);
  };
  return { clock, rooms, log, world, heirs, adopted, seen };
}

it('enters both rooms under the owner’s epoch, publishes but a sound of which nothing is let through, and is ready when it sees the replica', async () => {
  const { clock, rooms, log, heirs, seen } = setup();
  await clock.pass(300);
  expect(log).toEqual([]);
  expect(heirs.size).toBe(1);
  await seen();
  expect(log).toEqual(['ready']);
  expect(rooms.last.identity).toEqual({ conversationId: 'c1', epoch: 3 });
  expect(rooms.last.order).toEqual(['join', 'watch', 'joinUserRoom', 'muteUserRoom', 'showInUserRoom']);
  expect(rooms.last.calls.slice(2)).toMatchObject([{ options: { hidden: true } }, { on: true }, { kind: 'audio' }]);
  const closing = heirs.close();
  await clock.pass(100);
  await closing;
  expect(log).toContain('declined');
  expect(rooms.last.isClosed).toBe(true);
  expect(clock.pending).toBe(0);
});

it('given, it publishes its track at once; its sound is let through when the owner is silent; then comes its picture, and it says that it is seen', async () => {
  const { clock, rooms, log, world, heirs, adopted, seen } = setup();
  await seen();
  world.step = 'given';
  await clock.pass(100);
  const [room] = adopted;
  if (!room) throw new Error('Nothing was adopted.');
  const never = new AbortController().signal;
  const options = { url: 'x', userName: 'Avatar' };
  expect((await room.join(options, never)).participants).toContainEqual(replica);
  const events: string[] = [];
  room.on((event) => events.push(event.type));
  const streaming = room.publishStream(never);
  await room.joinUserRoom(options, never); // what is said from now on comes back later than the owner's last word
  room.watch('replica', { video: true, audio: true });
  await clock.pass(500);
  await streaming;
  expect(events).toContain('video-arrived'); // for whoever waits for it again
  const published = (): string[] =>
    rooms.last.calls
      .slice(5)
      .map((call) =>
        [call.method, 'kind' in call ? call.kind : '', 'on' in call ? String(call.on) : '']
          .filter((word) => word !== '')
          .join(' '),
      );
  expect(published()).toEqual(['publishStream', 'watch']);
  expect(log).toEqual(['ready']);
  world.step = 'silent';
  await clock.pass(1_000);
  expect(published().slice(2)).toEqual(['muteUserRoom false', 'showInUserRoom video', 'raiseEpoch']);
  expect(log).toEqual(['ready', 'shown']);
  await heirs.close();
});

it('what it sends as messages would be heard at once: its session waits until the owner is silent', async () => {
  const { clock, world, heirs, adopted, seen } = setup('echo');
  await seen();
  world.step = 'given';
  await clock.pass(100);
  let joined = false;
  const joining = adopted[0]?.joinUserRoom({ url: 'x', userName: 'Avatar' }, new AbortController().signal);
  void joining?.then(() => (joined = true));
  await clock.pass(500);
  expect(joined).toBe(false);
  world.step = 'silent';
  await clock.pass(100);
  expect(joined).toBe(true);
  await heirs.close();
});

it('its picture cannot be published: the user room is lost, and nobody is told that it is seen', async () => {
  const { clock, rooms, log, world, heirs, adopted, seen } = setup();
  await seen();
  world.step = 'silent';
  await clock.pass(100);
  const lost: unknown[] = [];
  adopted[0]?.on((event) => void (event.type === 'lost' && lost.push([event.room, event.code])));
  rooms.last.failures.set('showInUserRoom', new FleetError('deadline-exceeded', 'The page does not answer.'));
  await adopted[0]?.joinUserRoom({ url: 'x', userName: 'Avatar' }, new AbortController().signal);
  await clock.pass(100);
  expect(lost).toEqual([['user', 'room-lost']]);
  expect(log).not.toContain('shown');
  await heirs.close();
});

it('an owner that never says that it is silent is dead: its silence is not waited for beyond 2 s', async () => {
  const { clock, rooms, log, world, heirs, adopted, seen } = setup();
  await seen();
  world.step = 'given';
  await clock.pass(100);
  await adopted[0]?.joinUserRoom({ url: 'x', userName: 'Avatar' }, new AbortController().signal);
  await clock.pass(1_000);
  expect(log).not.toContain('shown');
  await clock.pass(1_500);
  expect(rooms.last.order).toContain('raiseEpoch');
  expect(log).toContain('shown');
  await heirs.close();
});

it.each([
  { when: 'the hand-over is void', act: (w: ReturnType<typeof setup>) => (w.world.step = 'void') },
  { when: 'the owner withdraws', act: (w: ReturnType<typeof setup>) => (w.world.step = 'withdrawn') },
  {
    when: 'its page dies',
    act: (w: ReturnType<typeof setup>) => w.rooms.last.emit({ type: 'closed', code: 'page-crashed', reason: 'gone' }),
  },
])('gives up what it prepared when $when', async ({ act }) => {
  const w = setup();
  await w.seen();
  act(w);
  await w.clock.pass(300);
  expect(w.adopted).toEqual([]);
  expect(w.rooms.last.isClosed).toBe(true);
  expect(w.heirs.size).toBe(0);
  await w.heirs.close();
  expect(w.clock.pending).toBe(0);
});

it('an owner that is silent by the time it looks again has given, too', async () => {
  const { clock, world, heirs, adopted, seen } = setup();
  await seen();
  world.step = 'silent';
  await clock.pass(100);
  expect(adopted).toHaveLength(1);
  await heirs.close();
});

it('a page that dies in the moment in which it is given is its own owner’s business', async () => {
  const { clock, rooms, log, world, heirs, adopted, seen } = setup();
  await seen();
  rooms.last.emit({ type: 'closed', code: 'page-crashed', reason: 'gone' });
  world.step = 'given';
  await clock.pass(200);
  expect(adopted).toHaveLength(1);
  expect(log).not.toContain('not ready to go on with an offered conversation');
  await heirs.close();
});

it('takes too long: declines, and leaves nothing open', async () => {
  const { clock, rooms, log, heirs } = setup();
  await clock.pass(25_000); // no picture ever comes
  expect(log).toEqual(['not ready to go on with an offered conversation', 'declined']);
  expect(rooms.last.isClosed).toBe(true);
  await heirs.close();
  expect(clock.pending).toBe(0);
});

it('a room that cannot be joined: declines', async () => {
  const w = setup();
  w.rooms.prepare = (room) => room.failures.set('join', new FleetError('room-join-failed', 'no'));
  await w.clock.pass(400);
  expect(w.log).toContain('declined');
  expect(w.rooms.last.isClosed).toBe(true);
  await w.heirs.close();
});

it('takes two at once at the most, and none without a slot', async () => {
  const { clock, world, heirs, rooms } = setup();
  world.offers = ['c1', 'c2', 'c3'];
  await clock.pass(400);
  expect(heirs.size).toBe(2);
  expect(world.offers).toEqual(['c3']);
  world.why = 'full';
  for (const room of rooms.opened) room.emit({ type: 'closed', code: 'page-crashed', reason: 'gone' });
  await clock.pass(21_000);
  expect(heirs.size).toBe(0);
  await clock.pass(1_000);
  expect(world.offers).toEqual(['c3']);
  await heirs.close();
});
