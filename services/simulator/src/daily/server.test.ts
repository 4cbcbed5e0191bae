import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createDailyRooms } from './server.ts';

async function listening(options: Parameters<typeof createDailyRooms>[0] = {}) {
  const stack = new AsyncDisposableStack();
  const rooms = createDailyRooms(options);
  const server = createServer();
  server.on('upgrade', (request, socket, head) => {
    if (!rooms.handleUpgrade(request, socket, head)) socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => void server.close());
  stack.defer(() => rooms.shutDown());
  // A listening TCP server's address is never a string.
  const { port } = server.address() as AddressInfo;
  const open = (path: string, headers: Record<string, string> = {}): WebSocket =>
    new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
  return { rooms, open, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

it('joins over a real socket from any origin, and hangs up when shut down', async () => {
  await using world = await listening();
  const socket = world.open('/daily/ws', { origin: 'http://127.0.0.1:1' });
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'join', url: 'http://localhost/rooms/x', userName: 'A', tracks: {} }));
  const [message] = await once(socket, 'message');
  expect(JSON.parse(String(message))).toMatchObject({ type: 'joined', self: { userName: 'A' } });
  const closed = once(socket, 'close');
  await world.rooms.shutDown();
  await world.rooms.shutDown();
  await closed;
});

it.each([
  { path: '/daily/ws', headers: { host: 'rebound.example' }, why: /403/ },
  { path: '/elsewhere', headers: {}, why: /socket hang up/ },
])('refuses $path with $headers', async ({ path, headers, why }) => {
  await using world = await listening();
  const [error] = await once(world.open(path, headers), 'error');
  expect(String(error)).toMatch(why);
});

it.each([
  { allowedHosts: [], room: 'localhost', candidates: 'loopback' },
  { allowedHosts: ['simulator:8090'], room: 'simulator:8090', candidates: 'all' },
])('tells pages to offer $candidates addresses when $allowedHosts may be asked for', async (world) => {
  await using served = await listening({ allowedHosts: world.allowedHosts });
  const socket = served.open('/daily/ws', { host: world.room });
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'join', url: `http://${world.room}/rooms/x`, userName: 'A', tracks: {} }));
  const [message] = await once(socket, 'message');
  expect(JSON.parse(String(message))).toMatchObject({ type: 'joined', candidates: world.candidates });
});

it('serves the named host on the named port only', async () => {
  await using world = await listening({ allowedHosts: ['simulator:8090'] });
  const [error] = await once(world.open('/daily/ws', { host: 'simulator:9' }), 'error');
  expect(String(error)).toMatch(/403/);
});
