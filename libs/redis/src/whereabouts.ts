import { ConversationState } from '@tavus-fleet/contracts';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';

/** How a conversation stands, as far as others than its owner need it. `unreadable`: a record that is none; hands off. */
export type Whereabouts = {
  readonly state: ConversationState | 'absent' | 'unreadable';
  readonly epoch: number;
  /** Somebody holds its lease now. */
  readonly leased: boolean;
  readonly owner?: string;
  readonly tavusConversationId?: string;
};

const AT_ONCE = 500;

/** Asks about many conversations in few round trips. Every id asked for is in the answer. */
export async function whereabouts(
  redis: RedisConnection,
  keys: Keys,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Whereabouts>> {
  const found = new Map<string, Whereabouts>();
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const some = ids.slice(from, from + AT_ONCE);
    // Written in one turn of the loop, so the driver sends them as one.
    const answers = await redisCall(() => Promise.all(some.map((id) => lookAt(redis, keys, id))));
    for (const [index, id] of some.entries()) {
      const answer = answers[index];
      if (answer) found.set(id, answer);
    }
  }
  return found;
}

async function lookAt(redis: RedisConnection, keys: Keys, id: string): Promise<Whereabouts> {
  const { record, lease } = keys.conversation(id);
  const [[state, epoch, tavusConversationId, owner], leased] = await Promise.all([
    redis.hmget(record, 'state', 'epoch', 'tavusConversationId', 'owner'),
    redis.exists(lease),
  ]);
  return {
    state: state ? (ConversationState.safeParse(state).data ?? 'unreadable') : 'absent',
    epoch: Number(epoch ?? 0) || 0,
    leased: leased === 1,
    ...(owner ? { owner } : {}),
    ...(tavusConversationId ? { tavusConversationId } : {}),
  };
}
