import { ConversationId, frameFields, FleetError, InboundFrame } from '@tavus-fleet/contracts';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';

/** About 20 minutes of 100 ms frames: the bound on what one conversation can put into Redis. Older entries go first. */
export const MAX_FRAMES = 12_000;

/**
 * Appends a frame to a conversation's stream and answers the entry's id. Throws `FleetError('malformed-frame')` naming the
 * field for a frame that the schema refuses, `redis-unavailable` when Redis is down. It does not ask whether the
 * conversation exists: that is the API's to check, and a producer may be early.
 */
export async function addFrame(redis: RedisConnection, keys: Keys, id: string, frame: InboundFrame): Promise<string> {
  if (!ConversationId.safeParse(id).success)
    throw new FleetError('invalid-request', 'A conversation id is 1 to 64 characters of A-Z a-z 0-9 _ -.', {
      field: 'conversationId',
    });
  const parsed = InboundFrame.safeParse(frame);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new FleetError('malformed-frame', `The frame is malformed: ${issue?.message ?? 'unknown problem'}.`, {
      field: issue?.path.join('.') || 'frame',
    });
  }
  const fields = frameFields(parsed.data).map((field) => (typeof field === 'string' ? field : asBuffer(field)));
  const entryId = await redisCall(() =>
    redis.xadd(keys.conversation(id).frames, 'MAXLEN', '~', MAX_FRAMES, '*', ...fields),
  );
  if (entryId === null) throw new FleetError('internal', 'Redis took the frame but gave no id.');
  return entryId;
}

/** A view, not a copy: the driver takes only Buffers for bytes. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
