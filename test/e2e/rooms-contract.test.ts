// The contract of the port `Room`, on the real adapter: real Chromium, real daily-js, the simulator's rooms.
import { createDailyRooms, type Rooms } from '@tavus-fleet/rooms';
import { roomContract } from '@tavus-fleet/rooms/room.contract';
import { afterAll, beforeAll, vi } from 'vitest';
import { startSimulator, type Simulator } from './fixtures/start-simulator.ts';

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

let count = 0;
roomContract('DailyRoom', async () => {
  count += 1;
  const identity = { conversationId: `contract-${count}`, epoch: 2 };
  const room = await rooms.open(identity, AbortSignal.timeout(30_000));
  return {
    room,
    identity,
    // Rooms of our own: the contract needs no replica.
    tavus: { url: `${simulator.url}/rooms/contract-t${count}`, userName: 'Pipecat' },
    user: { url: `${simulator.url}/rooms/contract-u${count}`, userName: 'Ada' },
    until: (condition) => vi.waitUntil(condition, { timeout: 15_000, interval: 10 }).then(() => undefined),
    async end() {
      await room.close();
      await room.close();
    },
  };
});
