import { z } from 'zod';

/**
 * The in-call protocol: JSON app-messages through the Daily room. Documented by Tavus except where said otherwise; there is no
 * acknowledgement and no error message, so a message that Tavus does not like is silence.
 */

type Envelope<E extends string> = {
  readonly message_type: 'conversation';
  readonly event_type: E;
  readonly conversation_id: string;
};
const envelope = <E extends string>(event_type: E, conversation_id: string): Envelope<E> => ({
  message_type: 'conversation',
  event_type,
  conversation_id,
});

export type EchoAudio = {
  readonly conversationId: string;
  /** One per utterance, the same in all its messages. */
  readonly inferenceId: string;
  /** s16le mono. */
  readonly audio: Uint8Array;
  /** Hz; Tavus takes 16000 when it is missing, so it is always sent. */
  readonly sampleRate: number;
  /** The last message of the utterance. */
  readonly done: boolean;
};

/** Audio for the replica to speak. The order of the keys is that of Pipecat's message. */
export function echoMessage(echo: EchoAudio) {
  const { audio } = echo;
  return {
    ...envelope('conversation.echo', echo.conversationId),
    properties: {
      modality: 'audio',
      inference_id: echo.inferenceId,
      audio: Buffer.from(audio.buffer, audio.byteOffset, audio.byteLength).toString('base64'),
      done: echo.done,
      sample_rate: echo.sampleRate,
    },
  } as const;
}

/** Text for the replica to speak with Tavus' own voice. */
export function echoTextMessage(
  conversationId: string,
  text: string,
  options: { inferenceId?: string; done?: boolean } = {},
) {
  const { inferenceId, done } = options;
  const properties = {
    modality: 'text',
    text,
    ...(inferenceId === undefined ? {} : { inference_id: inferenceId }),
    ...(done === undefined ? {} : { done }),
  };
  return { ...envelope('conversation.echo', conversationId), properties };
}

/** The replica falls silent and forgets what it had not spoken yet. */
export function interruptMessage(conversationId: string) {
  return envelope('conversation.interrupt', conversationId);
}

/** Text that Tavus' own pipeline answers as if the user had said it. */
export function respondMessage(conversationId: string, text: string) {
  return { ...envelope('conversation.respond', conversationId), properties: { text } };
}

export function appendContextMessage(conversationId: string, context: string) {
  return { ...envelope('conversation.append_llm_context', conversationId), properties: { context } };
}

export function overwriteContextMessage(conversationId: string, context: string) {
  return { ...envelope('conversation.overwrite_llm_context', conversationId), properties: { context } };
}

export type SensitivityLevel = 'superlow' | 'verylow' | 'low' | 'medium' | 'high' | 'auto';

/** How soon the replica takes a pause for the end, or lets itself be interrupted: exactly one of the two per message. */
export function sensitivityMessage(conversationId: string, what: 'pause' | 'interrupt', level: SensitivityLevel) {
  return {
    ...envelope('conversation.sensitivity', conversationId),
    properties: { [`participant_${what}_sensitivity`]: level },
  };
}

const SPEAKER_EVENTS = [
  'conversation.replica.started_speaking',
  'conversation.replica.stopped_speaking',
  'conversation.user.started_speaking',
  'conversation.user.stopped_speaking',
] as const;

const common = {
  conversation_id: z.string().optional(),
  seq: z.int().optional(),
  turn_idx: z.int().optional(),
  inference_id: z.string().nullish(),
  timestamp: z.union([z.number(), z.string()]).nullish(), // unix seconds; one documented example has ISO text
};
const SpeakingProperties = z.looseObject({ duration: z.number().nullish(), interrupted: z.boolean().nullish() });

/** What Tavus sends. Fields that we do not know pass through. */
const Known = z.discriminatedUnion('event_type', [
  z.looseObject({ ...common, event_type: z.literal(SPEAKER_EVENTS), properties: SpeakingProperties.nullish() }),
  z.looseObject({
    ...common,
    event_type: z.literal(['conversation.started_speaking', 'conversation.stopped_speaking']),
    properties: SpeakingProperties.extend({ role: z.string() }), // user, replica, or pal for the same replica
  }),
  z.looseObject({
    ...common,
    event_type: z.literal(['conversation.utterance', 'conversation.utterance.streaming']),
    properties: z.looseObject({ role: z.string(), speech: z.string() }),
  }),
  z.looseObject({
    ...common,
    event_type: z.literal('conversation.tool_call'),
    properties: z.looseObject({ name: z.string(), arguments: z.string() }),
  }),
  z.looseObject({
    ...common,
    event_type: z.literal('conversation.perception_tool_call'),
    properties: z.looseObject({ name: z.string(), arguments: z.unknown() }),
  }),
  z.looseObject({
    ...common,
    event_type: z.literal('conversation.perception_analysis'),
    properties: z.looseObject({ analysis: z.unknown() }),
  }),
]);
const Unknown = z.looseObject({ event_type: z.string() });

export type KnownMessage = z.infer<typeof Known>;
export type InboundMessage =
  | { readonly known: true; readonly message: KnownMessage }
  | { readonly known: false; readonly eventType: string | undefined };

/** An app-message of the Tavus room. Anything new, malformed or not from Tavus is `known: false`: never an error. */
export function parseMessage(data: unknown): InboundMessage {
  const known = Known.safeParse(data);
  if (known.success) return { known: true, message: known.data };
  const unknown = Unknown.safeParse(data);
  return { known: false, eventType: unknown.success ? unknown.data.event_type : undefined };
}
