import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundlePage } from '@tavus-fleet/chromium';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { isRoomName, urlOfRoom } from '../daily/room-url.ts';
import type { Rooms } from '../daily/rooms.ts';

const page = (path: string): string => fileURLToPath(new URL(`../page/${path}`, import.meta.url));

/** Route → source of each script; all are built once, when the server gets ready. */
const SCRIPTS = {
  '/daily/call-machine-object-bundle.js': { entry: page('call-machine/index.ts'), format: 'iife' },
  '/replica/main.js': { entry: page('replica/main.ts'), format: 'iife' },
  '/replica/worker.js': { entry: page('replica/worker.ts'), format: 'esm' },
  '/replica/voice-worker.js': { entry: page('replica/voice-worker.ts'), format: 'esm' },
  '/watch/assets/watch.js': { entry: page('watch/watch.ts'), format: 'iife' },
} as const;

/** No inline script or style, nothing from elsewhere; daily-js' own error reports fail here too. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  'media-src blob: mediastream:',
  "base-uri 'none'",
  "form-action 'none'",
  // The demo shows a room inside its own page, on another port of this machine.
  'frame-ancestors http://127.0.0.1:* http://localhost:*',
].join('; ');

/** The call machine's script text: a classic script that may run any number of times in a page. */
export function callMachineScript(): Promise<string> {
  const { entry, format } = SCRIPTS['/daily/call-machine-object-bundle.js'];
  return bundlePage(entry, { format });
}

/**
 * The pages of the rooms: the call machine for anyone's page (hence CORS), the watch page, the replica's page, and a word
 * for people who open a room's URL. WebSockets are not routes: see `handleUpgrade` of the rooms.
 */
export async function registerRoomPages(app: FastifyInstance, { rooms }: { rooms: Rooms }): Promise<void> {
  const scripts = new Map<string, string>();
  app.addHook('onReady', async () => {
    await Promise.all(
      Object.entries(SCRIPTS).map(async ([route, { entry, format }]) =>
        scripts.set(route, await bundlePage(entry, { format })),
      ),
    );
  });
  for (const route of Object.keys(SCRIPTS))
    app.get(route, (_request, reply) =>
      send(reply.header('access-control-allow-origin', '*'), 'text/javascript', scripts.get(route) ?? ''),
    );

  const [watchHtml, watchCss, replicaHtml] = await Promise.all(
    ['watch/index.html', 'watch/watch.css', 'replica/index.html'].map((path) => readFile(page(path), 'utf8')),
  );
  app.get('/watch/assets/watch.css', (_request, reply) => send(reply, 'text/css', watchCss ?? ''));
  app.get('/replica/page', (_request, reply) => send(reply, 'text/html', replicaHtml ?? ''));

  app.get<{ Params: { room: string } }>('/watch/:room', (request, reply) => {
    const { room } = request.params;
    if (!isRoomName(room)) return send(reply.code(404), 'text/plain', 'No such room.\n');
    // The name is plain letters, digits, - and _, the Host was checked to be loopback: neither can leave the attribute.
    const origin = `http://${request.headers.host}`;
    const url = urlOfRoom({ kind: rooms.isOpen(room) ? 'tavus' : 'user', name: room }, origin);
    return send(
      reply,
      'text/html',
      (watchHtml ?? '').replace('ROOM_URL', () => escapeAttribute(url)),
    );
  });
  app.get<{ Params: { room: string } }>('/rooms/:room', (request, reply) => {
    const { room } = request.params;
    if (!isRoomName(room)) return send(reply.code(404), 'text/plain', 'No such room.\n');
    return send(
      reply,
      'text/plain',
      `This is the URL of a room: join it with daily-js, or watch it at /watch/${room}\n`,
    );
  });
}

function send(reply: FastifyReply, type: string, text: string): FastifyReply {
  return reply
    .header('content-type', `${type}; charset=utf-8`)
    .header('cache-control', 'no-store')
    .header('content-security-policy', POLICY)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .send(text);
}

function escapeAttribute(text: string): string {
  return text.replace(/[&"<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}
