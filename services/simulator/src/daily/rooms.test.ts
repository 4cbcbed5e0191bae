import { FakeClock } from '@tavus-fleet/lifecycle';
import { describe, expect, it } from 'vitest';
import { Connection } from './connection.ts';
import { FakeLink } from './fake-link.ts';
import { RECONNECT_GRACE_MS } from './room.ts';
import { Rooms } from './rooms.ts';

const TAVUS = 'https://tavus.daily.co/c1';
const USER = 'http://127.0.0.1:8090/rooms/c1';

function setup() {
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const rooms = new Rooms({ clock, onError: (error) => errors.push(error) });
  const presence: string[] = [];
  rooms.onPresence(({ room, kind, participant, isReplica }) =>
    presence.push(`${kind} ${participant.userName} in ${room}${isReplica ? ' (replica)' : ''}`),
  );
  const connect = (hello: Record<string, unknown>) => {
    const link = new FakeLink();
    const connection = new Connection(rooms, link, clock);
    connection.receive(JSON.stringify(hello));
    const tell = (message: unknown): void => connection.receive(JSON.stringify(message));
    const joined = link.of('joined')[0];
    return { link, connection, tell, id: joined?.self.sessionId ?? '', secret: joined?.secret ?? '' };
  };
  const join = (url: string, userName: string, more: Record<string, unknown> = {}) =>
    connect({ type: 'join', url, userName, tracks: {}, ...more });
  return { clock, rooms, presence, connect, join, errors };
}

describe('who gets in', () => {
  it('a Tavus room must be open; a user room is made by its first participant and goes with its last', () => {
    const { rooms, join } = setup();
    expect(join(TAVUS, 'A').link.of('fatal')).toMatchObject([{ error: 'no-room' }]);
    const a = join(USER, 'A');
    expect(rooms.rooms()).toMatchObject([{ name: 'c1', kind: 'user', participants: [{ userName: 'A' }] }]);
    a.tell({ type: 'leave' });
    expect(rooms.rooms()).toEqual([]);
    expect(a.link.ended).toBe('hung up');
  });

  it('a user room and a Tavus room of one name are two rooms', () => {
    const { rooms, join } = setup();
    rooms.open({ name: 'c1' });
    join(TAVUS, 'A');
    const b = join(USER, 'B');
    expect(b.link.of('joined')[0]?.others).toEqual([]);
  });

  it.each([
    'https://tavus.daily.co/a/b',
    'https://evil.example/c1',
    'http://127.0.0.1:1/c1',
    'nonsense',
    'http://10.0.0.1/rooms/c1',
  ])('%s is no room', (url) => {
    const { rooms, join } = setup();
    rooms.open({ name: 'c1' });
    expect(join(url, 'A').link.of('fatal')).toMatchObject([{ error: 'no-room' }]);
  });

  it('a full room refuses, and counts ghosts', () => {
    const { rooms, join } = setup();
    rooms.open({ name: 'c1', maxParticipants: 2 });
    join(TAVUS, 'A');
    join(TAVUS, 'B').connection.closed(false);
    expect(join(TAVUS, 'C').link.of('fatal')).toMatchObject([{ error: 'meeting-full' }]);
  });

  it('refusals are used up; a closed room refuses for ever with its own error', () => {
    const { rooms, join } = setup();
    rooms.open({ name: 'c1' });
    rooms.refuseJoins('c1', 'meeting-full', 1);
    expect(join(TAVUS, 'A').link.of('fatal')).toMatchObject([{ error: 'meeting-full' }]);
    const a = join(TAVUS, 'A');
    rooms.close('c1', 'exp-room');
    expect(a.link.of('fatal')).toMatchObject([{ error: 'exp-room' }]);
    expect(join(TAVUS, 'A').link.of('fatal')).toMatchObject([{ error: 'exp-room' }]);
  });

  it('only the holder of a pass is the replica', () => {
    const { rooms, join, presence } = setup();
    rooms.open({ name: 'c1' });
    const pass = rooms.admitReplica({ room: 'c1', userId: 'tavus-replica-r1' });
    const faker = join(TAVUS, 'Faker', { userId: 'tavus-replica-r1', replicaKey: 'guess' });
    expect(faker.link.of('joined')[0]?.self.userId).not.toContain('replica');
    join(TAVUS, 'Anna', { replicaKey: pass.key });
    expect(rooms.rooms()[0]?.participants[1]).toMatchObject({ userId: 'tavus-replica-r1', userName: 'Anna' });
    const heard: unknown[] = [];
    pass.onMessage(({ data }) => heard.push(data));
    faker.tell({ type: 'app-message', to: '*', data: { hello: 1 } });
    expect(heard).toEqual([{ hello: 1 }]);
    expect(pass.say({ answer: 2 })).toBe(true);
    expect(faker.link.of('app-message')).toMatchObject([{ data: { answer: 2 } }]);
    pass.revoke();
    expect(pass.say('gone')).toBe(false);
    expect(presence).toEqual(['joined Faker in c1', 'joined Anna in c1 (replica)', 'left Anna in c1 (replica)']);
  });
});

describe('messages', () => {
  it('reach whom they name, not the sender, and none above the limit', () => {
    const { rooms, join } = setup();
    rooms.setAppMessageLimit(10);
    const [a, b, c] = [join(USER, 'A'), join(USER, 'B'), join(USER, 'C')];
    a.tell({ type: 'app-message', to: '*', data: 1 });
    a.tell({ type: 'app-message', to: b.id, data: 2 });
    a.tell({ type: 'app-message', to: [c.id], data: 3 });
    a.tell({ type: 'app-message', to: '*', data: 'longer than ten' });
    const data = ({ link }: typeof a): unknown[] => link.of('app-message').map((message) => message.data);
    expect([data(a), data(b), data(c)]).toEqual([[], [1, 2], [1, 3]]);
    expect(a.link.of('joined')[0]?.appMessageLimit).toBe(10);
  });

  it('a malformed message is counted and ends nothing', () => {
    const { join } = setup();
    const a = join(USER, 'A');
    a.connection.receive('{');
    a.tell({ type: 'signal', to: 5 });
    expect(a.connection.malformed).toBe(2);
    expect(a.link.ended).toBeNull();
  });

  it('a socket that says nothing is hung up after ten seconds', async () => {
    const { clock, rooms } = setup();
    const link = new FakeLink();
    const silent = new Connection(rooms, link, clock);
    await clock.pass(10_000);
    expect(link.ended).toBe('hung up');
    silent.closed(false);
  });

  it('the state that /sim/state shows has the tracks that are on', () => {
    const { rooms, join } = setup();
    const a = join(USER, 'A', { userData: { epoch: 3 } });
    a.tell({ type: 'update', tracks: { video: { kind: 'video', on: false }, stream: { kind: 'audio', on: true } } });
    expect(rooms.rooms()[0]?.participants).toMatchObject([
      { userName: 'A', userData: { epoch: 3 }, tracks: ['stream'] },
    ]);
  });
});

describe('a connection that breaks', () => {
  it('leaves a ghost that goes after the linger time; a goodbye leaves none', async () => {
    const { clock, rooms, join } = setup();
    rooms.setLinger(5_000);
    const [a, b, c] = [join(USER, 'A'), join(USER, 'B'), join(USER, 'C')];
    a.connection.closed(false);
    b.connection.closed(true);
    expect(c.link.of('participant-left')).toMatchObject([{ sessionId: b.id }]);
    await clock.pass(4_999);
    expect(c.link.of('participant-left')).toHaveLength(1);
    await clock.pass(1);
    expect(c.link.of('participant-left')[1]).toMatchObject({ sessionId: a.id });
  });

  it('may come back as the same session and gets what it missed, with the right secret only', () => {
    const { join, connect, presence } = setup();
    const [a, b] = [join(USER, 'A'), join(USER, 'B')];
    a.connection.closed(false);
    b.tell({ type: 'app-message', to: '*', data: 'missed' });
    const thief = connect({ type: 'resume', sessionId: a.id, secret: 'x' });
    expect(thief.link.of('fatal')).toMatchObject([{ error: 'connection-error' }]);
    const back = connect({ type: 'resume', sessionId: a.id, secret: a.secret });
    expect(back.link.of('resumed')[0]?.others).toMatchObject([{ userName: 'B' }]);
    expect(back.link.of('app-message')).toMatchObject([{ data: 'missed' }]);
    expect(presence.filter((line) => line.startsWith('left'))).toEqual([]);
  });

  it('an outage cuts all but the replica, lets nobody back before its end, and keeps them until then', async () => {
    const { clock, rooms, join, connect } = setup();
    rooms.open({ name: 'c1' });
    rooms.setLinger(0);
    const pass = rooms.admitReplica({ room: 'c1', userId: 'tavus-replica-r1' });
    const replica = join(TAVUS, 'Anna', { replicaKey: pass.key });
    const a = join(TAVUS, 'A');
    rooms.interruptNetwork('c1', 2_000);
    a.connection.closed(false);
    expect([a.link.ended, replica.link.ended]).toEqual(['cut', null]);
    const resume = { type: 'resume', sessionId: a.id, secret: a.secret };
    expect(connect(resume).link.ended).toBe('cut');
    await clock.pass(2_000);
    expect(connect(resume).link.of('resumed')).toHaveLength(1);
    rooms.interruptNetwork('c1', 2_000);
    await clock.pass(2_000 + RECONNECT_GRACE_MS);
    expect(replica.link.of('participant-left')).toMatchObject([{ sessionId: a.id }]);
  });

  it('an ejected one is told why', () => {
    const { rooms, join } = setup();
    const a = join(USER, 'A');
    expect(rooms.eject('c1', 'nobody')).toBe(false);
    expect(rooms.eject('c1', a.id)).toBe(true);
    expect(a.link.of('fatal')).toMatchObject([{ error: 'ejected' }]);
    expect(a.link.ended).toBe('hung up');
  });
});
