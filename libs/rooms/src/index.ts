export * from './port.ts';
export { createDailyRooms, type DailyRooms, type DailyRoomsOptions } from './daily-rooms.ts';
export type { BrowserIncident } from './browser-pool.ts';
export { FakeRoom, FakeRooms } from './fake-room.ts';
export { sampleRate as streamSampleRate } from './limits.ts';
