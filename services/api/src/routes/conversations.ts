import { ConversationView, roomUrlProblem, StartRequest, viewOf, type FieldProblem } from '@tavus-fleet/contracts';
import { z } from 'zod';
import type { App, AppDeps } from '../app.ts';
import { ownRecord } from '../auth.ts';
import { ConversationList, ConversationParams, ListQuery, NoQuery, StartHeaders, problems } from '../schemas.ts';
import { startConversation } from '../start-conversation.ts';
import { validatorWith } from '../validation.ts';

/** As much of a start request as names a room; whatever else is wrong with it. */
const WithRoom = z.object({ output: z.object({ room: z.object({ url: z.string() }) }) });

function roomProblems(body: unknown, allowed: readonly string[]): FieldProblem[] {
  const { data } = WithRoom.safeParse(body);
  const message = data && roomUrlProblem(data.output.room.url, allowed);
  return message ? [{ field: 'output.room.url', message }] : [];
}

/** Start, get, list. */
export function conversationRoutes(app: App, deps: AppDeps): void {
  const { conversations, log } = deps;
  const start = {
    ...deps,
    onUnsettled: (conversationId: string, error: unknown) =>
      log.warn({ conversationId, err: error }, 'conversation neither announced nor withdrawn'),
  };

  app.post(
    '/v1/conversations',
    {
      schema: {
        operationId: 'startConversation',
        summary: 'Ask for an avatar',
        description:
          'Accepted once it is written down; becomes live, or ends with a reason. With an `Idempotency-Key` a repeated request (24 h, per API key) answers with the same conversation.',
        tags: ['conversations'],
        headers: StartHeaders,
        querystring: NoQuery,
        body: StartRequest,
        response: { 202: ConversationView, ...problems(409, 413, 415) },
      },
      validatorCompiler: validatorWith((body) => roomProblems(body, deps.userRoomHosts)),
    },
    async (request, reply) => {
      const view = await startConversation(start, {
        caller: request.caller,
        request: request.body,
        idempotencyKey: request.headers['idempotency-key'],
      });
      return reply.code(202).header('location', `/v1/conversations/${view.conversationId}`).send(view);
    },
  );

  app.get(
    '/v1/conversations/:conversationId',
    {
      schema: {
        operationId: 'getConversation',
        summary: 'Read a conversation',
        tags: ['conversations'],
        params: ConversationParams,
        querystring: NoQuery,
        response: { 200: ConversationView, ...problems(404) },
      },
    },
    // oxlint-disable-next-line oxc/no-async-endpoint-handlers -- fastify, unlike Express, awaits its handlers
    async (request) => {
      const record = ownRecord(await conversations.get(request.params.conversationId), request.owns);
      return viewOf(record, record.state === 'queued' ? await conversations.place(record.conversationId) : undefined);
    },
  );

  app.get(
    '/v1/conversations',
    {
      schema: {
        operationId: 'listConversations',
        summary: "List this key's conversations, newest first",
        tags: ['conversations'],
        querystring: ListQuery,
        response: { 200: ConversationList, ...problems() },
      },
    },
    // oxlint-disable-next-line oxc/no-async-endpoint-handlers -- fastify, unlike Express, awaits its handlers
    async (request) => {
      const { state, cursor, limit } = request.query;
      const page = await conversations.list({
        createdBy: request.owns,
        limit: Number(limit),
        ...(state === undefined ? {} : { state }),
        ...(cursor === undefined ? {} : { cursor }),
      });
      return {
        conversations: page.records.map((record) => viewOf(record)),
        ...(page.cursor === undefined ? {} : { cursor: page.cursor }),
      };
    },
  );
}
