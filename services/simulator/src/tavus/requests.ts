import { z } from 'zod';
import { LIMITS } from './limits.ts';
import { tavusErrors } from './errors.ts';

const Id = z.string().min(1).max(LIMITS.name);
const Text = z.string().max(LIMITS.text);
const Seconds = z.int().min(0);

const Properties = z.looseObject({
  max_call_duration: z.int().min(1).optional(),
  participant_left_timeout: Seconds.optional(),
  participant_absent_timeout: Seconds.optional(),
});

/** Unknown fields are ignored, as Tavus ignores them (our guess: it documents no error for them). */
const CreateConversationBody = z.looseObject({
  replica_id: Id.optional(),
  face_id: Id.optional(),
  persona_id: Id.optional(),
  pal_id: Id.optional(),
  conversation_name: z.string().max(LIMITS.name).optional(),
  callback_url: z.union([z.literal(''), z.url({ protocol: /^https?$/ }).max(LIMITS.url)]).optional(),
  audio_only: z.boolean().optional(),
  conversational_context: Text.optional(),
  custom_greeting: Text.optional(),
  test_mode: z.boolean().optional(),
  require_auth: z.boolean().optional(),
  max_participants: z.int().min(2).optional(),
  properties: Properties.optional(),
});

/** A create request in one name family, defaults filled in. Seconds as Tavus has them. */
export type CreateConversation = {
  readonly replica: { readonly id: string; readonly field: 'replica_id' | 'face_id' } | undefined;
  readonly persona: { readonly id: string; readonly field: 'persona_id' | 'pal_id' } | undefined;
  readonly name: string;
  readonly callbackUrl: string;
  readonly audioOnly: boolean;
  readonly testMode: boolean;
  readonly requireAuth: boolean;
  readonly maxParticipants: number | undefined;
  readonly maxCallSeconds: number;
  readonly leftSeconds: number;
  readonly absentSeconds: number;
};

const CreatePersonaBody = z.looseObject({
  persona_name: Id.optional(),
  pal_name: Id.optional(),
  system_prompt: Text.optional(),
  pipeline_mode: z.enum(['full', 'echo']).nullable().optional(),
  default_replica_id: Id.optional(),
  default_face_id: Id.optional(),
  layers: z
    .looseObject({
      transport: z
        .looseObject({
          transport_type: z.string().optional(),
          input_settings: z.looseObject({ microphone: z.unknown() }).optional(),
        })
        .optional(),
    })
    .optional(),
});

export type CreatePersona = {
  readonly name: string;
  readonly pipelineMode: 'full' | 'echo' | null;
  readonly microphone: boolean;
  readonly systemPrompt: string | null;
  readonly defaultReplica: { readonly id: string; readonly field: 'replica_id' | 'face_id' } | undefined;
};

/** 1-based pages; the default of ten is documented, the bound on `limit` is ours. */
const ListQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1_000).default(10),
  page: z.coerce.number().int().min(1).default(1),
  status: z.enum(['active', 'ended']).optional(),
});

export type ListQuery = z.infer<typeof ListQuery>;

function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = schema.safeParse(input ?? {});
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw tavusErrors.field(issue?.path.join('.') || 'body', issue?.message ?? 'invalid');
}

const replicaOf = (newer: string | undefined, older: string | undefined): CreateConversation['replica'] => {
  if (newer !== undefined) return { id: newer, field: 'face_id' };
  return older === undefined ? undefined : { id: older, field: 'replica_id' };
};

/** Both name families; where both are given the newer one counts (our guess). Throws TavusError naming the field. */
export function parseCreateConversation(body: unknown): CreateConversation {
  const given = parse(CreateConversationBody, body);
  const persona = given.pal_id ?? given.persona_id;
  return {
    replica: replicaOf(given.face_id, given.replica_id),
    persona:
      persona === undefined ? undefined : { id: persona, field: given.pal_id === undefined ? 'persona_id' : 'pal_id' },
    name: given.conversation_name || 'New Conversation',
    callbackUrl: given.callback_url ?? '',
    audioOnly: given.audio_only ?? false,
    testMode: given.test_mode ?? false,
    requireAuth: given.require_auth ?? false,
    maxParticipants: given.max_participants,
    maxCallSeconds: given.properties?.max_call_duration ?? LIMITS.maxCallSeconds,
    leftSeconds: given.properties?.participant_left_timeout ?? 0,
    absentSeconds: given.properties?.participant_absent_timeout ?? 300,
  };
}

/** `microphone: "enabled"` is what Tavus' own people tested for; the object form was seen once (both observed). */
const microphoneIsOn = (setting: unknown): boolean =>
  setting === 'enabled' ||
  setting === true ||
  (typeof setting === 'object' && setting !== null && 'isEnabled' in setting && setting.isEnabled === true);

/** Throws TavusError naming the field. `POST /v2/pals` takes the same (the documented `default_face_id` is not enforced: its quickstart omits it). */
export function parseCreatePersona(body: unknown): CreatePersona {
  const given = parse(CreatePersonaBody, body);
  const name = given.pal_name ?? given.persona_name;
  if (name === undefined) throw tavusErrors.field('persona_name', 'required');
  return {
    name,
    pipelineMode: given.pipeline_mode ?? null,
    microphone: microphoneIsOn(given.layers?.transport?.input_settings?.microphone),
    systemPrompt: given.system_prompt ?? null,
    defaultReplica: replicaOf(given.default_face_id, given.default_replica_id),
  };
}

export const parseListQuery = (query: unknown): ListQuery => parse(ListQuery, query);
