// One session's media, for real: what is written is said by the replica, its face and voice arrive in the user room, and
// whatever dies or is replaced falls silent and leaves.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createDailyRooms, type Participant, type RoomEvent, type Rooms } from '@tavus-fleet/rooms';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startSimulator, type Simulator } from './fixtures/start-simulator.ts';
import { tone } from './fixtures/tone.ts';

const isOther = (event: { readonly participant: Participant }): boolean => !event.participant.local;
const signal = (): AbortSignal => AbortSignal.timeout(40_000);

let simulator: Simulator;
let rooms: Rooms;
beforeAll(async () => {
  simulator = await startSimulator();
  rooms = await createDailyRooms({ bundleUrl: simulator.bundleUrl, chromium: { env: process.env } });
});
afterAll(async () => {
  await rooms?.close();
  await simulator?.close();
});

/** A room with its events kept; `seen` waits for one. */
async function open(identity: { conversationId: string; epoch: number }, from: Rooms = rooms) {
  const room = await from.open(identity, signal());
  const events: RoomEvent[] = [];
  room.on((event) => events.push(event));
  async function seen<T extends RoomEvent['type']>(
    type: T,
    matches: (event: Extract<RoomEvent, { type: T }>) => boolean = () => true,
    timeoutMs = 15_000,
  ): Promise<Extract<RoomEvent, { type: T }>> {
    // The guard compares `type`, which is what Extract selects by.
    const isIt = (event: RoomEvent): event is Extract<RoomEvent, { type: T }> =>
      event.type === type && matches(event as Extract<RoomEvent, { type: T }>);
    return vi.waitUntil(() => events.find(isIt), { timeout: timeoutMs, interval: 10 });
  }
  return { room, events, seen };
}

async function joinWithReplica(identity: { conversationId: string; epoch: number }) {
  const conversation = await simulator.createConversation();
  const opened = await open(identity);
  const { participants } = await opened.room.join({ url: conversation.url, userName: 'Pipecat' }, signal());
  const replica =
    participants.find((participant) => !participant.local) ??
    (await opened.seen('participant-joined', isOther)).participant;
  return { ...opened, conversation, replica };
}

/** Somebody in the user room who looks at and listens to the avatar. */
async function listenIn(url: string) {
  const listener = await open({ conversationId: 'listener', epoch: 1 });
  const { participants } = await listener.room.join({ url, userName: 'User' }, signal());
  const avatar =
    participants.find((participant) => !participant.local) ??
    (await listener.seen('participant-joined', isOther)).participant;
  listener.room.watch(avatar.id, { video: true, audio: true });
  return listener;
}

describe('a session', () => {
  it('lets the replica say what is written and shows it in the user room; muting silences only that room', async () => {
    const { room, seen, events, replica, conversation } = await joinWithReplica({ conversationId: 'media', epoch: 1 });
    const userUrl = `${simulator.url}/rooms/media-user`;
    await room.joinUserRoom({ url: userUrl, userName: 'Avatar' }, signal());
    const listener = await listenIn(userUrl);
    room.watch(replica.id, { video: true, audio: true, pcm: true });
    await room.publishStream(signal());
    await seen('video-arrived');
    await listener.seen('video-arrived');

    expect(room.write(tone(8))).toBe(true);
    await seen('speech', (event) => event.speaking);
    await listener.seen('speech', (event) => event.speaking);
    const { report } = await listener.seen('media', (event) => event.report.fps >= 5 && event.report.audioPeak > 0.1);
    expect(report).toMatchObject({ width: 320, height: 180 });
    expect((await seen('media', (event) => event.report.audioPeak > 0.1)).report.framesDecoded).toBeGreaterThan(0);
    expect(events.some((event) => event.type === 'audio' && event.pcm.byteLength === 960)).toBe(true);

    room.muteUserRoom(true);
    await listener.seen('speech', (event) => !event.speaking);
    const before = listener.events.length;
    room.muteUserRoom(false);
    await vi.waitUntil(() => listener.events.slice(before).some((event) => event.type === 'speech' && event.speaking), {
      timeout: 5_000,
    });
    expect(events.some((event) => event.type === 'speech' && !event.speaking)).toBe(false);

    const { playedSamples } = await room.flush(signal());
    await seen('speech', (event) => !event.speaking);
    expect(playedSamples).toBeGreaterThan(24_000);
    await room.leave();
    await vi.waitUntil(
      async () =>
        (await simulator.participants('media-user'))?.every((participant) => participant.userName !== 'Avatar') ?? true,
      { timeout: 5_000 },
    );
    expect(
      (await simulator.participants(conversation.id))?.filter((participant) => participant.userName === 'Pipecat') ??
        [],
    ).toEqual([]);
    await Promise.all([room.close(), listener.room.close()]);
  });

  it('falls silent and leaves when a higher epoch of its conversation joins', async () => {
    const { room, seen, conversation } = await joinWithReplica({ conversationId: 'twice', epoch: 4 });
    const successor = await open({ conversationId: 'twice', epoch: 5 });
    await successor.room.join({ url: conversation.url, userName: 'Pipecat' }, signal());
    expect(await seen('evicted')).toEqual({ type: 'evicted', epoch: 5 });
    await vi.waitUntil(
      async () =>
        (await simulator.participants(conversation.id))?.filter((participant) => participant.userName === 'Pipecat')
          .length === 1,
      { timeout: 5_000 },
    );
    await expect(room.send({}, signal())).rejects.toMatchObject({ code: 'room-lost' });
    expect(successor.events.some((event) => event.type === 'evicted')).toBe(false);
    await Promise.all([room.close(), successor.room.close()]);
  });

  it('leaves nothing in a room whose join was given up', async () => {
    const { room } = await open({ conversationId: 'given-up', epoch: 1 });
    const url = `${simulator.url}/rooms/given-up`;
    const controller = new AbortController();
    const joining = Promise.allSettled([room.join({ url, userName: 'Pipecat' }, controller.signal)]);
    controller.abort(new Error('not wanted any more'));
    expect(await joining).toMatchObject([{ status: 'rejected', reason: { message: 'not wanted any more' } }]);
    // Refused until the first has been undone.
    await vi.waitUntil(() => room.join({ url, userName: 'Pipecat' }, signal()).then(Boolean, () => false), {
      timeout: 10_000,
      interval: 100,
    });
    expect((await simulator.participants('given-up'))?.length).toBe(1);
    await room.close();
  });

  it.each([
    { when: 'it is thrown out', fault: 'eject-bot', code: 'room-ejected' },
    { when: 'the room is deleted', fault: 'room-deleted', code: 'room-lost' },
    { when: 'the room expires', fault: 'exp-room', code: 'room-lost' },
  ])('says once that it is out when $when', async ({ fault, code }) => {
    const { room, seen, events, conversation } = await joinWithReplica({ conversationId: fault, epoch: 1 });
    await simulator.fault({ fault, match: conversation.id });
    expect(await seen('lost')).toMatchObject({ room: 'tavus', code });
    await expect(room.publishStream(signal())).rejects.toMatchObject({ code: 'room-lost' });
    await room.close();
    expect(events.filter((event) => event.type === 'lost')).toHaveLength(1);
  });

  it('is refused a room that is full, and may try another time', async () => {
    const { room } = await open({ conversationId: 'full', epoch: 1 });
    const { id, url } = await simulator.createConversation();
    await vi.waitUntil(async () => (await simulator.participants(id))?.length === 1, { timeout: 5_000 }); // the replica is in
    await simulator.fault({ fault: 'meeting-full', count: 1, match: id });
    await expect(room.join({ url, userName: 'Pipecat' }, signal())).rejects.toMatchObject({
      code: 'room-join-failed',
      message: expect.not.stringContaining(url),
    });
    expect((await room.join({ url, userName: 'Pipecat' }, signal())).participantId).toBeTruthy();
    await room.close();
  });
});

describe('a browser that dies', () => {
  it('ends its sessions with that reason, and the next one starts another', async () => {
    const lines: string[] = [];
    const own = await createDailyRooms({
      bundleUrl: simulator.bundleUrl,
      chromium: { env: process.env },
      log: (line) => lines.push(line),
    });
    const { room, seen } = await open({ conversationId: 'b1', epoch: 1 }, own);
    const url = `${simulator.url}/rooms/browser`;
    await room.join({ url, userName: 'Pipecat' }, signal());
    const [pid] = own.browserPids;
    expect(pid).toBeGreaterThan(1);
    process.kill(pid ?? 0, 'SIGKILL');
    expect(await seen('closed')).toMatchObject({ code: 'browser-failed' });
    expect(room.write(tone(1))).toBe(false);
    const next = await open({ conversationId: 'b2', epoch: 1 }, own);
    expect((await next.room.join({ url, userName: 'Pipecat' }, signal())).participantId).toBeTruthy();
    await own.close();
    await own.close();
    expect(next.events.at(-1)).toMatchObject({ type: 'closed' });
    expect(lines.join()).not.toContain(url);
  });
});

describe('a page that crashes', () => {
  it('ends its session with that reason', async () => {
    const own = await createDailyRooms({ bundleUrl: simulator.bundleUrl, chromium: { env: process.env } });
    const { room, seen } = await open({ conversationId: 'p1', epoch: 1 }, own);
    for (const pid of renderersOf(own.browserPids[0])) process.kill(pid, 'SIGKILL');
    expect(await seen('closed')).toMatchObject({ code: 'page-crashed' });
    await expect(
      room.join({ url: `${simulator.url}/rooms/crashed`, userName: 'Pipecat' }, signal()),
    ).rejects.toMatchObject({ code: 'page-silent' });
    await own.close();
  });
});

describe('a page whose process freezes', () => {
  it('is silent after 2 s and out of both rooms after 5 s', async () => {
    const conversation = await simulator.createConversation();
    const userUrl = `${simulator.url}/rooms/frozen-user`;
    const file = fileURLToPath(new URL('fixtures/speaking-session.ts', import.meta.url));
    const child = spawn(process.execPath, [file, simulator.bundleUrl, conversation.url, userUrl], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(createInterface({ input: child.stdout }), 'line', { signal: signal() });
      const listener = await listenIn(userUrl);
      await listener.seen('speech', (event) => event.speaking);
      child.kill('SIGSTOP');
      const frozenAt = performance.now();
      await listener.seen('speech', (event) => !event.speaking, 6_000);
      const silentAfterMs = performance.now() - frozenAt;
      await listener.seen('participant-left', () => true, 8_000);
      const leftAfterMs = performance.now() - frozenAt;
      expect(silentAfterMs).toBeGreaterThan(1_000);
      expect(silentAfterMs).toBeLessThan(4_000);
      expect(leftAfterMs).toBeGreaterThan(4_000);
      expect(leftAfterMs).toBeLessThan(8_000);
      await vi.waitUntil(
        async () =>
          (await simulator.participants(conversation.id))?.every((participant) => participant.userName !== 'Pipecat') ??
          true,
        { timeout: 3_000 },
      );
      await listener.room.close();
    } finally {
      child.kill('SIGKILL');
    }
  });
});

/** Page processes of a browser: they sit in its process group and say on their command line what they are. */
function renderersOf(browserPid: number | undefined): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const renderers = pids.filter((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
      return group === browserPid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer');
    } catch {
      return false; // ended between the listing and the reading
    }
  });
  return renderers.map(Number);
}
