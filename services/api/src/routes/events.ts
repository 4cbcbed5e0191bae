import { Readable } from 'node:stream';
import { FleetError, isFinal } from '@tavus-fleet/contracts';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { App, AppDeps } from '../app.ts';
import { ownRecord } from '../auth.ts';
import { eventStream } from '../event-stream.ts';
import { ConversationParams, EventHeaders, NoQuery, problems } from '../schemas.ts';

/** Event streams open at once in one process; each is a socket, and one page of events in memory. */
const MAX_STREAMS = 1000;

/** What a conversation tells, as server-sent events. */
export function eventRoutes(app: App, deps: AppDeps): void {
  const { conversations, events, clock, draining } = deps;
  let streams = 0;

  app.get(
    '/v1/conversations/:conversationId/events',
    {
      schema: {
        operationId: 'watchEvents',
        summary: 'Watch events as they happen (server-sent events)',
        description:
          'From the beginning, or after `Last-Event-ID`. `event` is the type, `data` is JSON `{id, type, at, epoch, data}`. Ends after `ended`; 204 when nothing can follow any more.',
        tags: ['live'],
        params: ConversationParams,
        querystring: NoQuery,
        headers: EventHeaders,
        response: {
          200: {
            description: 'An endless answer, one event after another',
            content: { 'text/event-stream': { schema: z.string() } },
          },
          204: {
            description: 'The conversation is over and every event was delivered',
            content: { 'text/plain': { schema: z.undefined() } },
          },
          ...problems(404, 429),
        },
      },
    },
    async (request, reply) => {
      const { conversationId } = request.params;
      const after = request.headers['last-event-id'] || '0';
      const record = ownRecord(await conversations.get(conversationId), request.owns);
      // EventSource comes back for ever unless it is told 204.
      if (isFinal(record.state) && (await events.read(conversationId, after, 1)).lastId === after)
        return reply.code(204).send(undefined);
      if (streams >= MAX_STREAMS)
        throw new FleetError('stream-full', 'This process serves as many event streams as it can.');

      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const isOver = async (): Promise<boolean> => {
        const now = await conversations.get(conversationId);
        return now === undefined || isFinal(now.state);
      };
      streams += 1;
      const body = Readable.from(
        eventStream({ events, conversationId, after, isOver, draining, gone: gone.signal, clock }),
        { objectMode: false },
      );
      body.once('close', () => (streams -= 1));
      // An answer whose head is out cannot become a problem: it ends, and the client comes back with Last-Event-ID.
      body.on('error', (error) =>
        deps.log.warn({ err: error, conversationId, requestId: request.id }, 'event stream broke'),
      );
      // `untyped`: the schema describes the text for the document; fastify sends streams past every serializer.
      const untyped: FastifyReply = reply;
      return untyped
        .headers({
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-store, no-transform',
          'x-accel-buffering': 'no',
        })
        .send(body);
    },
  );
}
