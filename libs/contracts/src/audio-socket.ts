import { z } from 'zod';
import { EndReason } from './end-reason.ts';

/** Name that a producer keeps over its connections to one conversation, so that a cut one is taken up where it was. */
export const ProducerName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 characters of A-Z a-z 0-9 _ -');

/**
 * What the api says on the WebSocket of `GET /v1/conversations/{id}/audio`, as JSON in text messages. Messages of a producer are
 * counted from 1, over all of its connections: `accepted` is the number of the last one that is in the stream, and a producer
 * that comes back goes on with the next.
 */
export const AudioSocketMessage = z.discriminatedUnion('type', [
  /** First of each connection: how binary messages are read, and where to go on. */
  z.object({
    type: z.literal('ready'),
    producer: ProducerName,
    accepted: z.int().nonnegative(),
    rate: z.int(),
    channels: z.int(),
  }),
  /** `bufferedMs`: speech of this connection that is in the stream and not yet heard; a producer that keeps it below a second or two is never refused. */
  z.object({ type: z.literal('ack'), accepted: z.int().nonnegative(), bufferedMs: z.number().nonnegative() }),
  /** Message `message` was refused and is skipped (`retrying` false), or waits and is tried again. The conversation goes on. */
  z.object({
    type: z.literal('error'),
    message: z.int().positive(),
    code: z.string(),
    detail: z.string(),
    field: z.string().optional(),
    retrying: z.boolean(),
  }),
  /** The conversation is over; the connection is closed with 1000. */
  z.object({ type: z.literal('ended'), endReason: EndReason.optional() }),
]);
export type AudioSocketMessage = z.infer<typeof AudioSocketMessage>;
