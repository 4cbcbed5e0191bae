import { FakeClock, type Timer } from '@tavus-fleet/lifecycle';
import { expect, it } from 'vitest';
import { FakeRooms } from './fake-room.ts';
import { roomContract } from './room.contract.ts';

const identity = { conversationId: 'c1', epoch: 3 };

roomContract('FakeRoom', async () => {
  const clock = new FakeClock();
  const rooms = new FakeRooms(clock);
  const room = await rooms.open(identity, AbortSignal.timeout(1_000));
  const visits: Timer[] = [];
  return {
    room,
    identity,
    tavus: { url: 'https://tavus.daily.co/c1', userName: 'Pipecat' },
    user: { url: 'https://acme.daily.co/u1', userName: 'Ada' },
    async visitor(where) {
      const id = `visitor-${visits.length}`;
      room.emit({ type: 'participant-joined', room: where, participant: { id, local: false, tracks: {} } });
      visits.push(
        clock.every(20, () => room.userSpeaks(where, id, clock.now())),
        clock.every(100, () => room.showPicture(clock.now())),
      );
      return id;
    },
    async until(condition, what) {
      for (let passed = 0; !condition(); passed += 10) {
        if (passed > 15_000) throw new Error(`not within 15 s of the fake clock: ${what}`);
        await clock.pass(10);
      }
    },
    async end() {
      for (const visit of visits) visit[Symbol.dispose]();
      await rooms.close();
      await rooms.close();
      if (clock.pending > 0 || room.listenerErrors.length > 0) throw new Error('a timer or a listener was left behind');
    },
  };
});

it('keeps what was asked of it, in order', async () => {
  const room = await new FakeRooms(new FakeClock()).open(identity, AbortSignal.timeout(1_000));
  const signal = AbortSignal.timeout(1_000);
  await room.join({ url: 'https://tavus.daily.co/c1', userName: 'Pipecat' }, signal);
  room.watch('r', { video: true, audio: true });
  await room.send({ a: 1 }, signal);
  await room.leave();
  expect(room.order).toEqual(['join', 'watch', 'send', 'leave']);
  expect(room.sent).toEqual([{ a: 1 }]);
});
