/** The rooms half of the simulator, for `main.ts` and for tests that need real rooms and an avatar but no Tavus REST. */
export { createDailyRooms, type DailyServer } from './daily/server.ts';
export { createReplicas, type ReplicasOptions } from './replica/replicas.ts';
export { callMachineScript, registerRoomPages } from './watch/room-pages.ts';
export type { DailyRooms, Replica, ReplicaOptions, Replicas } from './ports.ts';
