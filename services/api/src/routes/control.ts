import { FleetError, SettingsDelta, isFinal, type ConversationRecord } from '@tavus-fleet/contracts';
import type { App, AppDeps } from '../app.ts';
import { ownRecord } from '../auth.ts';
import {
  Accepted,
  ControlAccepted,
  ControlBody,
  ConversationParams,
  InterruptBody,
  NoQuery,
  SettingsAccepted,
  problems,
} from '../schemas.ts';

const summaries = {
  stop: 'End after what was accepted has been played',
  cancel: 'End at once; what was not played is dropped',
} as const;

/**
 * What is asked of a running conversation: stop, cancel, interrupt, other settings. Stop and cancel are written into the record
 * here, by the same script that the workers run for a `control` job: so the answer is exact (409 or not) and a conversation
 * that waits is ended though no worker is alive. The queue `control` is for backends that enqueue by themselves.
 */
export function controlRoutes(app: App, deps: AppDeps): void {
  const { conversations, frames } = deps;
  const own = async (id: string, owns: readonly string[]): Promise<ConversationRecord> =>
    ownRecord(await conversations.get(id), owns);

  for (const verb of ['stop', 'cancel'] as const) {
    app.post(
      `/v1/conversations/:conversationId/${verb}`,
      {
        schema: {
          operationId: `${verb}Conversation`,
          summary: summaries[verb],
          description: 'Asking again is asking once.',
          tags: ['conversations'],
          params: ConversationParams,
          querystring: NoQuery,
          body: ControlBody,
          response: { 202: ControlAccepted, ...problems(404, 409, 413, 415) },
        },
      },
      async (request, reply) => {
        const { conversationId } = await own(request.params.conversationId, request.owns);
        const outcome = await conversations.desire(conversationId, verb, request.body?.reason);
        const { state, desired, endReason } = await own(conversationId, request.owns);
        if (outcome === 'over') throw over({ state, endReason });
        return reply.code(202).send({ conversationId, state, desired: desired ?? verb });
      },
    );
  }

  app.post(
    '/v1/conversations/:conversationId/interrupt',
    {
      schema: {
        operationId: 'interruptConversation',
        summary: 'Silence the avatar now; it stays',
        tags: ['live'],
        params: ConversationParams,
        querystring: NoQuery,
        body: InterruptBody,
        response: { 202: Accepted, ...problems(404, 409, 413, 415, 429) },
      },
    },
    async (request, reply) => {
      const { conversationId } = open(await own(request.params.conversationId, request.owns));
      const entryId = await frames.append(conversationId, { type: 'interruption', ...request.body });
      return reply.code(202).send({ conversationId, entryId });
    },
  );

  app.patch(
    '/v1/conversations/:conversationId/settings',
    {
      schema: {
        operationId: 'updateSettings',
        summary: 'Change settings, in order with the frames',
        description:
          'Answers what changes: key → value before. The `settings-updated` event says when it has happened.',
        tags: ['live'],
        params: ConversationParams,
        querystring: NoQuery,
        body: SettingsDelta,
        response: { 202: SettingsAccepted, ...problems(404, 409, 413, 415, 429) },
      },
    },
    async (request, reply) => {
      const record = await own(request.params.conversationId, request.owns);
      const answer = await conversations.updateSettings(record.conversationId, request.body);
      if (answer.outcome !== 'changed') throw over(await own(record.conversationId, request.owns));
      return reply.code(202).send({ changed: answer.changed });
    },
  );
}

/** The record, unless its conversation is over: then nothing reads its frames. */
export function open(record: ConversationRecord): ConversationRecord {
  if (isFinal(record.state) || record.state === 'stopping') throw over(record);
  return record;
}

function over({
  state,
  endReason,
}: {
  state: ConversationRecord['state'];
  endReason?: ConversationRecord['endReason'];
}): FleetError {
  return new FleetError(
    'conversation-over',
    `The conversation is ${state}${endReason === undefined ? '' : ` (${endReason})`}.`,
  );
}
