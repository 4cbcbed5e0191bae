import { sleep, type Clock } from '@tavus-fleet/lifecycle';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Faults } from '../faults.ts';
import type { SettingsStore } from '../settings.ts';
import { conversationBody, createdBody, meetingToken, verboseBody } from './bodies.ts';
import type { Conversation } from './conversation.ts';
import type { Conversations } from './conversations.ts';
import { nameIn, refuseCreate } from './create-faults.ts';
import { tavusErrors } from './errors.ts';
import { LIMITS } from './limits.ts';
import { parseCreateConversation, parseListQuery } from './requests.ts';
import { isoTime } from './time.ts';

export type ConversationRouteDeps = {
  readonly clock: Clock;
  readonly settings: SettingsStore;
  readonly faults: Faults;
  readonly conversations: Conversations;
};

type WithId = { Params: { id: string }; Querystring: Record<string, string | undefined> };

/** `/v2/conversations…`: create, list, get, end, delete. */
export function conversationRoutes(app: FastifyInstance, deps: ConversationRouteDeps): void {
  const { clock, settings, faults, conversations } = deps;
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort(new Error('simulator closing')));

  /** Every call that names a conversation is written down, before it is judged: also one that fails, also on a deleted one. */
  const named = (request: FastifyRequest<WithId>, route: string): Conversation => {
    const known = conversations.known(request.params.id);
    known?.record({ route, at: isoTime(clock.now()), epoch: epochOf(request) });
    const found = conversations.find(request.params.id);
    if (found === undefined) throw tavusErrors.conversationId();
    return found;
  };

  app.post('/conversations', async (request, reply) => {
    const subject = { name: nameIn(request.body) };
    refuseCreate(faults, subject);
    const wanted = parseCreateConversation(request.body);
    const conversation = conversations.create(wanted);
    conversation.record({ route: 'POST /v2/conversations', at: isoTime(clock.now()), epoch: epochOf(request) });
    // The conversation runs already: a client that gives up during this wait has a bill and no id.
    const slow = faults.take('create-slow', subject);
    const waitMs = slow ? (slow.ms ?? 5_000) : settings.current.createLatencyMs;
    if (waitMs > 0) await sleep(clock, waitMs, closing.signal);
    const lost = faults.take('create-timeout-after-success', subject);
    if (lost) return holdThenDestroy(reply, clock, lost.ms ?? LIMITS.heldSocketMs);
    const token = wanted.requireAuth
      ? meetingToken(conversation.spec.id, clock.now(), wanted.absentSeconds)
      : undefined;
    return createdBody(conversation, token);
  });

  app.get('/conversations', async (request, reply) => {
    const { rows, total } = conversations.list(parseListQuery(request.query));
    return reply.send({ data: rows.map(conversationBody), total_count: total });
  });

  app.get<WithId>('/conversations/:id', async (request, reply) => {
    const conversation = named(request, 'GET /v2/conversations/{id}');
    return reply.send(request.query['verbose'] === 'true' ? verboseBody(conversation) : conversationBody(conversation));
  });

  app.post<WithId>('/conversations/:id/end', async (request, reply) => {
    const conversation = named(request, 'POST /v2/conversations/{id}/end');
    const failure = faults.take('end-fails', conversation.subject);
    if (failure) throw tavusErrors.server(failure.status ?? 500);
    const endedNow = conversation.end({ endedBy: 'end_conversation_endpoint_hit' });
    if (!endedNow) {
      const status = settings.current.endTwiceStatus;
      if (status === 400) throw tavusErrors.conversationId();
      if (status === 404) throw tavusErrors.noRoute();
    }
    // No body at all (documented without a schema): a client that parses one fails here.
    return reply.code(200).send();
  });

  app.delete<WithId>('/conversations/:id', async (request, reply) => {
    const conversation = named(request, 'DELETE /v2/conversations/{id}');
    conversations.delete(conversation, request.query['hard'] === 'true');
    return reply.code(204).send();
  });
}

/** A number where it is one, as our worker sends it. */
function epochOf(request: FastifyRequest): number | string | null {
  const header = request.headers['x-fleet-epoch'];
  if (typeof header !== 'string' || header === '') return null;
  return /^\d{1,15}$/.test(header) ? Number(header) : header.slice(0, LIMITS.name);
}

/** Says nothing until the client gives up, or `ms` are over; then the socket breaks. */
function holdThenDestroy(reply: FastifyReply, clock: Clock, ms: number): FastifyReply {
  const { raw } = reply.hijack();
  const timer = clock.after(ms, () => raw.destroy());
  raw.once('close', () => timer[Symbol.dispose]());
  return reply;
}
