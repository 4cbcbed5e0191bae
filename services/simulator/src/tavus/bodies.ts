import { createHmac, randomBytes } from 'node:crypto';
import type { Conversation } from './conversation.ts';
import { microsecondTime } from './time.ts';

/** Both name families everywhere: a client must live with either. */
const whoBody = ({ spec }: Conversation) => ({
  replica_id: spec.replicaId,
  face_id: spec.replicaId,
  persona_id: spec.persona.id,
  pal_id: spec.persona.id,
});

/** Answer of create (documented; the four ids are of older versions and of after the rename). */
export const createdBody = (conversation: Conversation, meetingToken: string | undefined) => ({
  conversation_id: conversation.spec.id,
  conversation_name: conversation.spec.name,
  conversation_url: conversation.spec.url,
  status: conversation.status,
  callback_url: conversation.spec.callbackUrl,
  created_at: microsecondTime(conversation.createdAtMs),
  ...whoBody(conversation),
  ...(meetingToken === undefined ? {} : { meeting_token: meetingToken }),
});

/** A row of the list, and the answer of GET (documented). `updated_at` moves when it ends. */
export const conversationBody = (conversation: Conversation) => ({
  ...createdBody(conversation, undefined),
  updated_at: microsecondTime(conversation.ended?.atMs ?? conversation.createdAtMs),
});

/** GET with `?verbose=true` (documented): why it ended, and every event that a webhook carried or would have carried. */
export const verboseBody = (conversation: Conversation) => ({
  ...conversationBody(conversation),
  shutdown_reason: conversation.ended?.by ?? null,
  events: conversation.events,
});

// Nobody can verify it: the simulated rooms admit anyone. It only has to look and expire like one.
const TOKEN_KEY = randomBytes(32);
const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A JWT whose `exp` is `participant_absent_timeout` from now (documented lifetime). */
export function meetingToken(room: string, nowMs: number, lifetimeSeconds: number): string {
  const issuedAt = Math.floor(nowMs / 1_000);
  const signed = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ r: room, iat: issuedAt, exp: issuedAt + lifetimeSeconds })}`;
  return `${signed}.${createHmac('sha256', TOKEN_KEY).update(signed).digest('base64url')}`;
}
