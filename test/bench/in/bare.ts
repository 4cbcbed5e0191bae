// The baseline as a process of its own: POST → queue.add → 202, and WebSocket message → XADD. No checks, no record, no count.
import { Queue } from 'bullmq';
import Fastify from 'fastify';
import { Redis } from 'ioredis';
import { WebSocketServer } from 'ws';

const { hostname, port } = new URL(process.env['REDIS_URL'] ?? '');
const connection = { host: hostname, port: Number(port) };
const redis = new Redis(connection);
const queue = new Queue('sessions', { connection, prefix: '{bare}' });

const app = Fastify({ logger: false });
app.post('/v1/conversations', async (request, reply) => {
  const conversationId = crypto.randomUUID();
  await queue.add('start', { v: 1, conversationId, request: request.body });
  return reply.code(202).send({ conversationId, state: 'queued' });
});
const url = await app.listen({ host: '127.0.0.1', port: 0 });

const sockets = new WebSocketServer({ server: app.server });
sockets.on('connection', (socket, request) => {
  const id = /conversations\/([^/]+)\/audio/.exec(request.url ?? '')?.[1] ?? '';
  socket.on('message', (data: Buffer) => {
    const fields = ['type', 'tts-audio', 'rate', '24000', 'channels', '1', 'audio', data] as const;
    void redis.xadd(`fleet:{${id}}:frames`, 'MAXLEN', '~', 12_000, '*', ...fields);
  });
});
process.on('SIGTERM', () => process.exit(0));
process.stdout.write(`${JSON.stringify({ msg: 'bare listening', url })}\n`);
