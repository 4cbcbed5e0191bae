import { JsonFrame } from '@tavus-fleet/contracts';
import type { App, AppDeps } from '../app.ts';
import { frameOf } from '../audio-socket/read-message.ts';
import { ownRecord } from '../auth.ts';
import { Accepted, ConversationParams, NoQuery, problems } from '../schemas.ts';
import { open } from './control.ts';

/** Base64 of about 15 s of speech at 24 kHz; more in one request would make the owner wait for it. Bytes. */
const BODY_LIMIT = 1024 * 1024;

/** Frames for callers that do not reach Redis themselves. */
export function frameRoutes(app: App, deps: AppDeps): void {
  app.post(
    '/v1/conversations/:conversationId/frames',
    {
      bodyLimit: BODY_LIMIT,
      schema: {
        operationId: 'sendFrame',
        summary: 'Send one frame; audio as base64 of s16le PCM',
        tags: ['live'],
        params: ConversationParams,
        querystring: NoQuery,
        body: JsonFrame,
        response: { 202: Accepted, ...problems(404, 409, 413, 415, 429) },
      },
    },
    async (request, reply) => {
      const frame = frameOf(request.body);
      const { conversationId } = open(
        ownRecord(await deps.conversations.get(request.params.conversationId), request.owns),
      );
      return reply.code(202).send({ conversationId, entryId: await deps.frames.append(conversationId, frame) });
    },
  );
}
