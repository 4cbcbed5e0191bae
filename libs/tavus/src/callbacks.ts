import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { firstProblem, type FieldProblem } from '@tavus-fleet/contracts';
import { z } from 'zod';

/**
 * What Tavus posts to `callback_url`, in the documented envelope. There is no signature, no retry and no order (documented: nothing), so
 * the URL carries a token of ours, and whoever reads a callback must be able to do without it.
 */
const Time = z.union([z.string().max(64), z.number()]).nullish();
const Callback = z
  .looseObject({
    conversation_id: z.string().min(1).max(128),
    event_type: z.string().min(1).max(128).optional(),
    message_type: z.string().max(64).nullish(),
    timestamp: Time,
    properties: z.looseObject({ guardrail: z.unknown().optional() }).nullish(),
    objective_name: z.string().max(512).nullish(),
    output_variables: z.unknown().optional(),
  })
  // Guardrails and objectives come without a type (documented).
  .refine((body) => body.event_type !== undefined || body.properties?.guardrail !== undefined || body.objective_name, {
    path: ['event_type'],
    message: 'is required, except with objective_name or properties.guardrail',
  });

/** A callback as the fleet takes it. `mark` is equal for those that are to be taken once. */
export type TavusCallback = {
  readonly tavusConversationId: string;
  readonly mark: string;
  /** `joined`: the room tells it too · `shutdown`: the call is over · `message`: for the backend. */
  readonly kind: 'joined' | 'shutdown' | 'message';
  readonly shutdownReason?: string;
  readonly message?: Readonly<Record<string, unknown>>;
};

// Since the rename both are sent, with the same payload (documented).
const JOINED = new Set(['system.replica_joined', 'system.pal_joined', 'system.face_joined']);
const REASON_MAX = 200;

/** Reads the body of a callback. Unknown types are messages like any other: what Tavus adds reaches the backend. */
export function parseCallback(body: unknown): { callback: TavusCallback } | { problem: FieldProblem } {
  const parsed = Callback.safeParse(body);
  if (!parsed.success) return { problem: firstProblem(parsed.error, 'body') };
  const { conversation_id: tavusConversationId, event_type: type, properties } = parsed.data;
  const mark = (what: string): string => `${tavusConversationId}:${what}`;
  if (type !== undefined && JOINED.has(type))
    return { callback: { tavusConversationId, kind: 'joined', mark: mark('joined') } };
  if (type === 'system.shutdown') {
    const reason = properties?.['shutdown_reason'];
    const shutdownReason = typeof reason === 'string' && reason.trim() !== '' ? plain(reason) : 'no reason given';
    return { callback: { tavusConversationId, kind: 'shutdown', mark: mark('shutdown'), shutdownReason } };
  }
  const message = picked(parsed.data);
  const content = createHash('sha256').update(JSON.stringify(message)).digest('base64url').slice(0, 22);
  return { callback: { tavusConversationId, kind: 'message', mark: mark(content), message } };
}

/** What is passed on. Not `webhook_url`: it is the callback's address, token and all. */
function picked(body: z.infer<typeof Callback>): Readonly<Record<string, unknown>> {
  const names = [
    'conversation_id',
    'event_type',
    'message_type',
    'timestamp',
    'properties',
    'objective_name',
    'output_variables',
  ] as const;
  return Object.fromEntries(names.flatMap((name) => (body[name] === undefined ? [] : [[name, body[name]]])));
}

function plain(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, REASON_MAX);
}

/**
 * What the end of a call means, by Tavus' own word. Matched by its beginning: Tavus' docs spell the reasons in two ways. `early`: a
 * call that was cut before the duration we asked for; so end calls when the account's minutes run out (observed), and plans cap silently (documented).
 */
export function shutdownMeaning(
  reason: string,
  early: boolean,
): { readonly code: 'tavus-credits' | 'tavus-unavailable' | 'room-ejected'; readonly says: string } {
  if (/credit|minutes|quota/i.test(reason)) return { code: 'tavus-credits', says: `Tavus ended the call: ${reason}.` };
  if (early && reason.startsWith('max_call_duration'))
    return {
      code: 'room-ejected',
      says: `Tavus ended the call: ${reason}, before the duration that was asked for. The account's minutes may be used up, or its plan allows no longer calls.`,
    };
  if (/^(exception_encountered|internal error|bot_could_not_join)/.test(reason))
    return { code: 'tavus-unavailable', says: `Tavus ended the call: ${reason}.` };
  return { code: 'room-ejected', says: `Tavus ended the call: ${reason}.` };
}

/** A limit of Tavus' own, or somebody who asked Tavus: a call that ended so is not to be made anew. By the beginning, as above. */
export function isFinalShutdown(reason: string): boolean {
  return /^(max_call_duration|end_conversation_endpoint_hit)/.test(reason);
}

/**
 * The key of callback tokens: of what the api and every worker of a fleet have, and nobody else. Nothing needs to be stored for a token,
 * so it holds for callbacks that come long after the end. Another TAVUS_API_KEY makes the tokens of running calls void.
 */
export function callbackKey(tavusApiKey: string, fleetId: string): Uint8Array {
  return createHmac('sha256', tavusApiKey).update(`tavus-callback ${fleetId}`).digest();
}

/** The secret part of a conversation's callback URL. */
export function callbackToken(key: Uint8Array, conversationId: string): string {
  return `${conversationId}.${mac(key, conversationId).toString('base64url')}`;
}

/** The conversation whose token this is; undefined for anything else. Compared in constant time. */
export function conversationOfToken(key: Uint8Array, token: string): string | undefined {
  const [, conversationId, given] = /^([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{43})$/.exec(token) ?? [];
  if (conversationId === undefined || given === undefined) return undefined;
  const presented = Buffer.from(given, 'base64url');
  return timingSafeEqual(presented, mac(key, conversationId)) ? conversationId : undefined;
}

function mac(key: Uint8Array, conversationId: string): Buffer {
  return createHmac('sha256', key).update(conversationId).digest();
}
