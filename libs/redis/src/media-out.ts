import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';

/** Half a minute of blocks of 20 ms: what a consumer that was away finds; older ones go first. */
export const MAX_AUDIO = 1_500;
/** A stream that nobody writes any more goes after this, also when its owner died. */
const TTL_SECONDS = 3_600;

/** Sound of a conversation for its backend: s16le, `pts` in ms since 1970. */
export type AudioBlock = {
  readonly rate: number;
  readonly channels: number;
  readonly audio: Uint8Array;
  readonly pts: number;
};

/** Appends to `fleet:{id}:audio`, all in one round trip. Rejects with `redis-unavailable`. */
export async function addAudio(
  redis: RedisConnection,
  keys: Keys,
  id: string,
  blocks: readonly AudioBlock[],
): Promise<void> {
  const { audio: key } = keys.conversation(id);
  await redisCall(async () => {
    const adding: Promise<unknown>[] = blocks.map(({ rate, channels, audio, pts }) =>
      redis.xadd(
        key,
        'MAXLEN',
        '~',
        MAX_AUDIO,
        '*',
        'rate',
        rate,
        'channels',
        channels,
        'audio',
        Buffer.from(audio.buffer, audio.byteOffset, audio.byteLength),
        'pts',
        pts.toFixed(1),
      ),
    );
    adding.push(redis.expire(key, TTL_SECONDS));
    await Promise.all(adding); // written in one turn of the loop, so the driver sends them as one
  });
}
