// Two sessions of one conversation, side by side as in a hand-over: the heir is in both rooms and nobody sees or hears it; then
// one track, one voice and one picture go from the owner to the heir, and what is said between is neither lost nor doubled.
import { createDailyRooms, type Participant, type Room, type RoomEvent, type Rooms } from '@tavus-fleet/rooms';
import type { Listeners } from '@tavus-fleet/testkit';
import { chirpWalk, correlate } from '@tavus-fleet/testkit/signals';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { between, boundsMs, figures, judge } from './fixtures/judge.ts';
import { startSimulator, type Simulator } from './fixtures/start-simulator.ts';
import { joinRoom, startUsers } from './fixtures/users.ts';

const RATE = 24_000;
const SPEECH_MS = 9_000;
const signal = (): AbortSignal => AbortSignal.timeout(40_000);

let simulator: Simulator;
let rooms: Rooms;
let users: Listeners;
beforeAll(async () => {
  simulator = await startSimulator();
  rooms = await createDailyRooms({ bundleUrl: simulator.bundleUrl, chromium: { env: process.env } });
  users = await startUsers();
});
afterAll(async () => {
  await users?.[Symbol.asyncDispose]();
  await rooms?.close();
  await simulator?.close();
});

async function sitDown(url: string, userUrl: string, hidden: boolean): Promise<{ room: Room; replica: Participant }> {
  const room = await rooms.open({ conversationId: 'given', epoch: 3 }, signal());
  const events: RoomEvent[] = [];
  room.on((event) => events.push(event));
  const { participants } = await room.join({ url, userName: 'Pipecat' }, signal());
  const isReplica = ({ userId = '' }: Participant): boolean => userId.startsWith('tavus-replica');
  const replica =
    participants.find(isReplica) ??
    (await vi.waitUntil(
      () => events.flatMap((event) => (event.type === 'participant-joined' ? [event.participant] : [])).find(isReplica),
      { timeout: 15_000 },
    ));
  room.watch(replica.id, { video: true, audio: true });
  await room.joinUserRoom({ url: userUrl, userName: 'Avatar', hidden }, signal());
  await vi.waitUntil(() => events.some(({ type }) => type === 'video-arrived'), { timeout: 15_000 });
  return { room, replica };
}

it('gives track, voice and picture from one page to the other', async () => {
  const conversation = await simulator.createConversation();
  const tavusRoom = new URL(conversation.url).pathname.slice(1);
  const userUrl = `${simulator.url}/rooms/given`;
  const owner = await sitDown(conversation.url, userUrl, false);
  const user = await joinRoom(users, simulator.url, 'given');
  await owner.room.publishStream(signal());
  const heir = await sitDown(conversation.url, userUrl, true);
  const bots = async (room: string): Promise<string[]> =>
    ((await simulator.participants(room)) ?? [])
      .filter(({ userData }) => userData !== undefined && userData !== null)
      .map(({ tracks }) => tracks.toSorted().join('+'))
      .toSorted();
  expect(await bots(tavusRoom)).toEqual(['', 'stream']);
  expect(await bots('given')).toEqual(['', 'audio+video']);

  const sent = chirpWalk({ rate: RATE, ms: SPEECH_MS, seed: 77 });
  const bytes = new Uint8Array(sent.buffer);
  await pause(500); // waits: the replica's consumer of the track that was published just now
  const fromMs = Date.now();
  owner.room.write(bytes);
  await pause(4_000); // waits: somewhere inside the speech

  const marks: Record<string, number> = {};
  const startedMs = performance.now();
  const mark = (name: string): void => void (marks[name] = Math.round(performance.now() - startedMs));
  const { playedSamples } = await owner.room.flush(signal());
  mark('flushed');
  await owner.room.unpublishStream(signal());
  mark('unpublished');
  await Promise.all([
    (async () => {
      await heir.room.publishStream(signal());
      mark('published');
      await pause(300); // waits: for the replica to have the track
      mark('settled');
    })(),
    (async () => {
      await heir.room.showInUserRoom('video', signal());
      mark('video');
      await owner.room.endUserAudio(1_000, signal());
      mark('silent');
      await heir.room.showInUserRoom('audio', signal());
      mark('audio');
      await pause(300); // waits: for the users to have the track
    })(),
  ]);
  expect(heir.room.write(bytes.subarray(playedSamples * 2))).toBe(true);
  mark('going on');
  expect(await bots(tavusRoom)).toEqual(['', 'stream']);
  expect(await bots('given')).toEqual(['audio+video', 'video']);
  await heir.room.raiseEpoch(4, signal());
  await vi.waitUntil(async () => (await bots('given')).length === 1, { timeout: 5_000, interval: 20 });
  mark('owner gone');
  await pause(SPEECH_MS - 4_000 + 2_500); // waits: the rest is said, and whatever is late

  const report = await user.report(signal());
  const heard = between(report, fromMs, Date.now());
  const wav = await simulator.heard(conversation.id);
  const replicaHeard = new Int16Array(wav.buffer.slice(wav.byteOffset + 44, wav.byteOffset + wav.byteLength));
  const [byReplica, byUser] = [judge(sent, replicaHeard), judge(sent, heard)];
  // The silence in between, as the user had it: the two parts lie so much further apart than they were sent.
  const [first, second] = [sent.subarray(0, playedSamples), sent.subarray(playedSamples)].map((part) =>
    correlate(part, heard, RATE),
  );
  const silentMs = Math.round((((second?.lagSamples ?? 0) - playedSamples - (first?.lagSamples ?? 0)) * 1_000) / RATE);
  figures('hand-over rooms', { marks, playedSamples, silentMs, byReplica, byUser });
  // What was on its way to the encoder when the track was taken away is gone: a few tens of ms, on the grid of 50 ms blocks.
  expect(byReplica.longestMissingMs).toBeLessThanOrEqual(2 * boundsMs.missing);
  expect(byReplica.longestDuplicateMs).toBeLessThanOrEqual(boundsMs.gap);
  expect(byUser.longestMissingMs).toBeLessThanOrEqual(3 * boundsMs.missing);
  expect(silentMs).toBeLessThan(1_500);
  expect(byUser.longestDuplicateMs).toBeLessThanOrEqual(boundsMs.gap);
  await heir.room.close();
  await owner.room.close();
});
