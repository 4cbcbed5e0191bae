import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';

const WAIT_MS = 300;

/**
 * Whether a replica has what this connection has just written, so that a failover now would not forget it. `key` is one that was written:
 * it leads both commands to its node, on the same connection, because WAIT counts what that connection wrote. A master that has no
 * replica just now has nobody to lose it to and says yes: refusing would stop the fleet for a spare that is away.
 */
export async function isReplicated(redis: RedisConnection, key: string): Promise<boolean> {
  const replies = await redisCall(async () => redis.pipeline().exists(key).wait(1, WAIT_MS).info('replication').exec());
  const [, reached = 0, replication = ''] = (replies ?? []).map(([, reply]) => reply);
  return Number(reached) >= 1 || /^connected_slaves:0\b/m.test(String(replication));
}
