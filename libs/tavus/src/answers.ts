import { z } from 'zod';

/**
 * Tavus' answers, read generously: unknown fields pass, both name families (replica/persona, since June 2026 also face/pal) are
 * understood whichever we send, and words such as `status` stay open (documented: active, ended; seen: error).
 */
const Text = z.string().min(1);
const Maybe = z.string().nullish();

const ids = { replica_id: Maybe, face_id: Maybe, persona_id: Maybe, pal_id: Maybe };
type Ids = { [K in keyof typeof ids]?: string | null | undefined };

/** A new conversation. `conversationUrl` and `meetingToken` are secrets: whoever has them is in the room. */
export type CreatedConversation = {
  readonly conversationId: string;
  readonly conversationUrl: string;
  readonly meetingToken?: string;
  readonly status: string;
};

export const CreateAnswer = z
  .looseObject({
    conversation_id: Text,
    conversation_url: z.url({ protocol: /^https?$/ }),
    status: Text,
    meeting_token: Maybe,
  })
  .transform((answer): CreatedConversation => ({
    conversationId: answer.conversation_id,
    conversationUrl: answer.conversation_url,
    status: answer.status,
    ...(answer.meeting_token ? { meetingToken: answer.meeting_token } : {}),
  }));

/** A conversation as Tavus shows it. `createdAt` is Tavus' text (ISO-8601, with or without fraction). */
export type TavusConversation = {
  readonly conversationId: string;
  readonly conversationName: string;
  readonly status: string;
  readonly conversationUrl?: string;
  readonly replicaId?: string;
  readonly personaId?: string;
  readonly createdAt?: string;
  /** Only with `verbose`, only when over. Match it by its beginning: Tavus' docs spell it in two ways. */
  readonly shutdownReason?: string;
};

export const ConversationAnswer = z
  .looseObject({
    conversation_id: Text,
    conversation_name: Maybe,
    conversation_url: Maybe,
    status: Text,
    created_at: Maybe,
    shutdown_reason: Maybe,
    ...ids,
  })
  .transform((answer): TavusConversation => ({
    conversationId: answer.conversation_id,
    conversationName: answer.conversation_name ?? '',
    status: answer.status,
    ...(answer.conversation_url ? { conversationUrl: answer.conversation_url } : {}),
    ...(answer.created_at ? { createdAt: answer.created_at } : {}),
    ...(answer.shutdown_reason ? { shutdownReason: answer.shutdown_reason } : {}),
    ...idsOf(answer),
  }));

export type ConversationPage = {
  readonly conversations: readonly TavusConversation[];
  readonly totalCount: number | undefined;
};

export const ListAnswer = z
  .looseObject({ data: z.array(ConversationAnswer), total_count: z.int().nonnegative().nullish() })
  .transform((answer): ConversationPage => ({
    conversations: answer.data,
    totalCount: answer.total_count ?? undefined,
  }));

/** `personaName` is what the replica is called in the room. */
export type TavusPersona = { readonly personaId: string; readonly personaName: string };

const Persona = z
  .looseObject({ persona_name: Maybe, pal_name: Maybe, persona_id: Maybe, pal_id: Maybe })
  .transform((answer, context): TavusPersona => {
    const personaId = answer.persona_id ?? answer.pal_id;
    const personaName = answer.persona_name ?? answer.pal_name;
    if (personaId && personaName) return { personaId, personaName };
    context.addIssue({ code: 'custom', path: [personaId ? 'persona_name' : 'persona_id'], message: 'is missing' });
    return z.NEVER;
  });

/** The docs show `{data:[persona]}`, the real answer is the persona itself (observed). */
export const PersonaAnswer = z.union([
  z.looseObject({ data: z.tuple([Persona], Persona) }).transform((answer) => answer.data[0]),
  Persona,
]);

export type TavusReplica = { readonly replicaId: string; readonly replicaName: string; readonly status: string };

export const ReplicaAnswer = z
  .looseObject({ replica_id: Maybe, face_id: Maybe, replica_name: Maybe, face_name: Maybe, status: Maybe })
  .transform((answer, context): TavusReplica => {
    const replicaId = answer.replica_id ?? answer.face_id;
    if (replicaId)
      return {
        replicaId,
        replicaName: answer.replica_name ?? answer.face_name ?? '',
        status: answer.status ?? 'unknown',
      };
    context.addIssue({ code: 'custom', path: ['replica_id'], message: 'is missing' });
    return z.NEVER;
  });

function idsOf(answer: Ids): { replicaId?: string; personaId?: string } {
  const replicaId = answer.replica_id ?? answer.face_id;
  const personaId = answer.persona_id ?? answer.pal_id;
  return { ...(replicaId ? { replicaId } : {}), ...(personaId ? { personaId } : {}) };
}
