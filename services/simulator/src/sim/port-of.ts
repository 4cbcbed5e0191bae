import type { Server } from 'node:net';

/** The port of a listening server, which may have been asked for as 0. */
export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on TCP');
  return address.port;
}
