import {
  ConversationId,
  firstProblem,
  FleetError,
  frameFields,
  InboundFrame,
  MAX_FRAMES,
} from '@tavus-fleet/contracts';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import { textScript } from './scripts.ts';

const numbered = textScript('append-numbered');

/**
 * Appends a frame to a conversation's stream and answers the entry's id. Throws `FleetError('malformed-frame')` naming the
 * field for a frame that the schema refuses, `redis-unavailable` when Redis is down. It does not ask whether the
 * conversation exists: that is the API's to check, and a producer may be early.
 */
export async function addFrame(redis: RedisConnection, keys: Keys, id: string, frame: InboundFrame): Promise<string> {
  const fields = fieldsOf(id, frame);
  const entryId = await redisCall(() =>
    redis.xadd(keys.conversation(id).frames, 'MAXLEN', '~', MAX_FRAMES, '*', ...fields),
  );
  if (entryId === null) throw new FleetError('internal', 'Redis took the frame but gave no id.');
  return entryId;
}

/** A producer that counts its messages from 1. */
export type NumberedMessage = { readonly producer: string; readonly number: number };

/**
 * As {@link addFrame}, but a number that the producer has had accepted is not added again: undefined then. So whoever does not
 * know whether a frame arrived sends it again.
 */
export async function addNumberedFrame(
  redis: RedisConnection,
  keys: Keys,
  id: string,
  frame: InboundFrame,
  { producer, number }: NumberedMessage,
): Promise<string | undefined> {
  const { frames, producers } = keys.conversation(id);
  const fields = fieldsOf(id, frame);
  const entryId = await redisCall(() => numbered.run(redis, [frames, producers], producer, number, ...fields));
  return entryId === '' ? undefined : entryId;
}

/** Number of the producer's last message that is in the stream; 0 when there is none. */
export async function acceptedOf(redis: RedisConnection, keys: Keys, id: string, producer: string): Promise<number> {
  return Number((await redisCall(() => redis.hget(keys.conversation(id).producers, producer))) ?? 0);
}

function fieldsOf(id: string, frame: InboundFrame): (string | Buffer)[] {
  if (!ConversationId.safeParse(id).success)
    throw new FleetError('invalid-request', 'A conversation id is 1 to 64 characters of A-Z a-z 0-9 _ -.', {
      field: 'conversationId',
    });
  const parsed = InboundFrame.safeParse(frame);
  if (!parsed.success) {
    const { field, message } = firstProblem(parsed.error, 'frame');
    throw new FleetError('malformed-frame', `The frame is malformed: ${field} ${message}.`, { field });
  }
  return frameFields(parsed.data).map((field) => (typeof field === 'string' ? field : asBuffer(field)));
}

/** A view, not a copy: the driver takes only Buffers for bytes. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
