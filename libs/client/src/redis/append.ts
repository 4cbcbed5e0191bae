import { MAX_FRAMES, frameFields, type InboundFrame } from '@tavus-fleet/contracts';
import type { Connection } from './connection.ts';

/** Room that approximate trimming and frames in flight may take before the oldest unplayed frame would be lost. */
const FULL_AT = MAX_FRAMES - 1_000;
const COUNT_TTL_SECONDS = 3_600;

// keys      frames, producers, record of one conversation
// arguments producer, number of the first frame, length at which the stream is full (0 = never), per frame: count of fields, fields
// answer    'over' | 'full' | id of the newest entry, then one id per frame ('' = was in the stream already)
// invariant a frame that is sent again after a cut is in the stream once; all of a call are in, or none
const LUA = `
local state = redis.call('HGET', KEYS[3], 'state')
if state == 'stopping' or state == 'ended' or state == 'canceled' or state == 'failed' then return {'over'} end
local limit = tonumber(ARGV[3])
if limit > 0 and redis.call('XLEN', KEYS[1]) >= limit then return {'full'} end
local last = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
local number, at, ids, newest = tonumber(ARGV[2]), 4, {}, '0'
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  if number > last then
    newest = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ${MAX_FRAMES}, '*', unpack(ARGV, at + 1, at + count))
    table.insert(ids, newest)
  else
    table.insert(ids, '')
  end
  at, number = at + 1 + count, number + 1
end
if newest == '0' then
  local entry = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  if entry then newest = entry[1] end
else
  redis.call('HSET', KEYS[2], ARGV[1], number - 1)
end
redis.call('EXPIRE', KEYS[2], ${COUNT_TTL_SECONDS})
return {newest, unpack(ids)}
`;

export type AppendKeys = { readonly frames: string; readonly producers: string; readonly record: string };

/**
 * Adds frames of a producer that counts them, in one step. Answers per frame the id of its entry; for one that was there already
 * (the answer to an earlier try was lost) the newest id: it is not behind that.
 */
export async function append(
  redis: Connection,
  keys: AppendKeys,
  producer: { readonly name: string; readonly next: number },
  frames: readonly InboundFrame[],
): Promise<'over' | 'full' | readonly string[]> {
  const mayWait = frames.every(({ type }) => type === 'tts-audio' || type === 'message');
  const fields = frames.flatMap((frame) => {
    const each = frameFields(frame);
    return [String(each.length), ...each];
  });
  const answer: unknown = await redis.eval(
    LUA,
    3,
    keys.frames,
    keys.producers,
    keys.record,
    producer.name,
    producer.next,
    mayWait ? FULL_AT : 0,
    ...fields.map((field) => (typeof field === 'string' ? field : asBuffer(field))),
  );
  if (!Array.isArray(answer)) throw new Error('The script gave no list.');
  const [first, ...ids] = answer.map(String);
  if (first === 'over' || first === 'full') return first;
  return ids.map((id) => id || (first ?? '0'));
}

/** A view, not a copy: the driver takes only Buffers for bytes. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
