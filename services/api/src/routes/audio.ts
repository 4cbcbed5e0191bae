import { randomUUID } from 'node:crypto';
import { FleetError, ProducerName, SampleRate } from '@tavus-fleet/contracts';
import { z } from 'zod';
import type { App, AppDeps } from '../app.ts';
import { AudioSocket } from '../audio-socket/audio-socket.ts';
import { ownRecord } from '../auth.ts';
import { ConversationParams, problems } from '../schemas.ts';
import { open } from './control.ts';

/** WebSockets open at once in one process; each is a socket and at most 64 messages. */
const MAX_SOCKETS = 1000;

const AudioQuery = z.strictObject({
  rate: z
    .string()
    .refine((text) => SampleRate.safeParse(Number(text)).success, 'must be a whole number of Hz from 8000 to 48000')
    .optional(),
  channels: z.enum(['1', '2']).default('1'),
  producer: ProducerName.optional(),
});

/** Speech in as fast as it comes: a WebSocket, for producers that do not reach Redis themselves. */
export function audioRoutes(app: App, deps: AppDeps): void {
  const { conversations, frames, clock, draining } = deps;
  let sockets = 0;

  app.route({
    method: 'GET',
    url: '/v1/conversations/:conversationId/audio',
    schema: {
      operationId: 'streamAudio',
      summary: 'Send speech over a WebSocket',
      description:
        "Binary messages are s16le PCM at `rate` (default: the conversation's `audio.sampleRate`), interleaved; text messages are JSON frames as in `sendFrame`. " +
        'Answers are JSON: `ready`, then `ack {accepted, bufferedMs}`, `error {message, code, detail, retrying}`, `ended`. Messages are counted from 1 per `producer`; ' +
        'after a cut, connect with the same `producer` and go on after `ready.accepted`: nothing is lost, nothing is there twice.',
      tags: ['live'],
      params: ConversationParams,
      querystring: AudioQuery,
      response: {
        101: {
          description: 'The connection is a WebSocket now',
          content: { 'text/plain': { schema: z.undefined() } },
        },
        ...problems(404, 409, 429),
      },
    },
    // Before the upgrade, so that a refusal is a problem with its status like everywhere else.
    preHandler: async (request) => {
      open(ownRecord(await conversations.get(request.params.conversationId), request.owns));
      if (sockets >= MAX_SOCKETS)
        throw new FleetError('stream-full', 'This process serves as many WebSockets as it can.');
    },
    handler: async () => {
      throw new FleetError('invalid-request', 'Connect with a WebSocket: `Upgrade: websocket`.');
    },
    wsHandler: async (socket, request) => {
      socket.pause(); // until somebody listens: what came meanwhile would be lost
      sockets += 1;
      socket.once('close', () => (sockets -= 1));
      const { conversationId } = request.params;
      const { rate, channels, producer = randomUUID() } = request.query;
      try {
        const [record, accepted] = await Promise.all([
          conversations.get(conversationId),
          frames.accepted(conversationId, producer),
        ]);
        const format = {
          rate: rate === undefined ? (record?.spec.audio.sampleRate ?? 24_000) : Number(rate),
          channels: Number(channels),
        };
        // It lives as long as its socket, which it listens to.
        void new AudioSocket({
          socket,
          conversationId,
          producer,
          accepted,
          format,
          frames,
          conversations,
          clock,
          draining,
        });
        socket.resume();
      } catch (error) {
        deps.log.warn({ err: error, conversationId, requestId: request.id }, 'audio socket not begun');
        socket.close(1013, 'try again later');
      }
    },
  });
}
