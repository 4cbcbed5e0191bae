// The contract of the port `Room`, on the real adapter: real Chromium, real daily-js, the simulator's rooms.
import { createDailyRooms, type Rooms } from '@tavus-fleet/rooms';
import { roomContract } from '@tavus-fleet/rooms/room.contract';
import { Listeners, type Listener } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, vi } from 'vitest';
import { startSimulator, type Simulator } from './fixtures/start-simulator.ts';

let simulator: Simulator;
let rooms: Rooms;
let users: Listeners;
beforeAll(async () => {
  simulator = await startSimulator();
  users = await Listeners.start({ env: process.env }, AbortSignal.timeout(60_000));
  rooms = await createDailyRooms({ bundleUrl: simulator.bundleUrl, chromium: { env: process.env } });
});
afterAll(async () => {
  await users?.[Symbol.asyncDispose]();
  await rooms?.close();
  await simulator?.close();
});

const signal = (): AbortSignal => AbortSignal.timeout(30_000);
let count = 0;
roomContract('DailyRoom', async () => {
  count += 1;
  const identity = { conversationId: `contract-${count}`, epoch: 2 };
  const room = await rooms.open(identity, AbortSignal.timeout(30_000));
  // Rooms of our own: the contract needs no replica.
  const tavus = { url: `${simulator.url}/rooms/contract-t${count}`, userName: 'Pipecat' };
  const user = { url: `${simulator.url}/rooms/contract-u${count}`, userName: 'Ada' };
  const visitors: Listener[] = [];
  return {
    room,
    identity,
    tavus,
    user,
    async visitor(where) {
      const { url } = where === 'tavus' ? tavus : user;
      const visitor = await users.join({ url, bundle: simulator.bundleUrl, gives: true }, signal());
      visitors.push(visitor);
      await visitor.say(chirpWalk({ rate: 24_000, ms: 30_000 }), signal());
      return visitor.participantId;
    },
    until: (condition) => vi.waitUntil(condition, { timeout: 15_000, interval: 10 }).then(() => undefined),
    async end() {
      await Promise.all(visitors.map((visitor) => visitor.leave(signal())));
      await room.close();
      await room.close();
    },
  };
});
