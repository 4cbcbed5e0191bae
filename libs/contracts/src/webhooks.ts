import { z } from 'zod';
import { EventView, eventView, type EventEnvelope, type OutboundEvent } from './events.ts';
import { ConversationId } from './ids.ts';

/** `fromId` of a `message` event that came by Tavus' callback and not out of the call: participants' ids are UUIDs. */
export const TAVUS_CALLBACK = 'tavus';

/**
 * Events that also go to the backend's webhook: the few that change what it has to do. What happens many times a minute (speaking,
 * metrics, messages of the call) is for those who watch the event stream.
 */
export function isWebhookEvent(event: OutboundEvent): boolean {
  switch (event.type) {
    case 'state':
    case 'ended':
    case 'takeover':
      return true;
    case 'error':
      return event.data.fatal;
    case 'message':
      return event.data.fromId === TAVUS_CALLBACK;
    default:
      return false;
  }
}

/** Id of the webhook of one event: the same at every attempt, whoever sends it. No dot: the signature separates by dots. */
export function webhookId(conversationId: string, eventId: string): string {
  return `evt_${conversationId}_${eventId}`;
}

/** What a webhook carries, as Standard Webhooks recommend: `type`, `timestamp` of the event, `data`. */
export const WebhookBody = z.object({
  type: z.templateLiteral(['conversation.', z.string()]),
  timestamp: z.iso.datetime(),
  data: z.object({
    conversationId: ConversationId,
    /** As given when the conversation was started. */
    metadata: z.record(z.string(), z.unknown()).optional(),
    /** Exactly what the event stream carries. */
    event: EventView,
    /** Set when `event.data` was too large and is left out (empty): its size. It is in the event stream for an hour after the end. */
    omittedBytes: z.int().positive().optional(),
  }),
});
export type WebhookBody = z.infer<typeof WebhookBody>;

/** Jobs stay small; a transcript of a usual call is below. Characters of JSON. */
export const MAX_WEBHOOK_DATA = 64 * 1024;

/** The body of an event's webhook. */
export function webhookBody(
  conversation: { readonly conversationId: string; readonly metadata?: Readonly<Record<string, unknown>> | undefined },
  envelope: EventEnvelope,
): WebhookBody {
  const event = eventView(envelope);
  const size = JSON.stringify(event.data).length;
  const { conversationId, metadata } = conversation;
  return {
    type: `conversation.${envelope.type}`,
    timestamp: event.at,
    data: {
      conversationId,
      ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
      event: size > MAX_WEBHOOK_DATA ? { ...event, data: {} } : event,
      ...(size > MAX_WEBHOOK_DATA ? { omittedBytes: size } : {}),
    },
  };
}

/**
 * Data of a job `deliver` in the queue `webhooks-<API key's name>`. The body is text, so that every attempt signs the same bytes; where
 * it goes and with which secret is said by the process that sends it, and stands in no job.
 */
export const DeliverData = z.strictObject({ v: z.literal(1), id: z.string().max(128), body: z.string() });
export type DeliverData = z.infer<typeof DeliverData>;

/**
 * Tries of one webhook: the pauses double from 5 s, each shortened by up to a half so that a receiver that comes back is not met by all
 * at once: 13 tries over three to six hours, then it is given up.
 */
export const webhookRetry = { attempts: 13, backoff: { type: 'exponential', delay: 5_000, jitter: 0.5 } } as const;

/** The queue of one API key's webhooks: its own, so that an endpoint that hangs holds up nobody else's. */
export function webhookQueue(keyName: string): string {
  return `webhooks-${keyName}`;
}
