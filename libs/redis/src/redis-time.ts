import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';

/** Redis' clock, ms since 1970: the one that all processes share. Rejects with `redis-unavailable`. */
export async function redisTime(redis: Pick<RedisConnection, 'time'>): Promise<number> {
  const [seconds, micros] = await redisCall(() => redis.time());
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}
