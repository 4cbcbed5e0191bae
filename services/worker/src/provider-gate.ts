import { ConversationState, isFinal, type StartData } from '@tavus-fleet/contracts';
import {
  redisCall,
  type Keys,
  type ProviderSlots,
  type Queues,
  type RedisConnection,
  type Refusal,
} from '@tavus-fleet/redis';
import { TavusFailure, type TavusClient } from '@tavus-fleet/tavus';
import type { ProviderGate } from './claim.ts';

type GateDeps = {
  readonly slots: ProviderSlots;
  readonly queues: Pick<Queues, 'urgentFirst'>;
  readonly redis: RedisConnection;
  readonly keys: Keys;
  readonly workerId: string;
};

/** The claim loop's gate on Redis. */
export function providerGate(deps: GateDeps): ProviderGate {
  const { slots, queues, redis, keys, workerId } = deps;
  return {
    async whyClosed() {
      const room = await slots.room();
      // What lost its owner has its slot already and a user in front of it: it is let through to the last.
      if (room === 'free' || (await queues.urgentFirst())) return undefined;
      return room === 'full' ? 'provider-full' : `tavus-refuses-${room}`;
    },
    async admit({ conversationId }) {
      // Asked in one turn of the loop, so in one round trip.
      const { record } = keys.conversation(conversationId);
      const [reserved, [state, tavusConversationId]] = await Promise.all([
        slots.reserve(workerId, conversationId),
        redisCall(() => redis.hmget(record, 'state', 'tavusConversationId')),
      ]);
      const known = ConversationState.safeParse(state).data;
      const isOver = known !== undefined && isFinal(known);
      const hasOne = Boolean(tavusConversationId);
      if (reserved === 'ok' && (isOver || hasOne)) await slots.release(workerId, conversationId);
      if (isOver) return 'over';
      return hasOne || reserved === 'ok' ? 'ok' : 'full';
    },
    release: ({ conversationId }: StartData) => slots.release(workerId, conversationId),
  };
}

const refusals: Readonly<Record<string, Refusal>> = {
  'tavus-capacity': 'capacity',
  'tavus-auth': 'auth',
  'tavus-credits': 'credits',
};

type AlarmLog = {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

/**
 * The same client, which also tells the fleet what Tavus' answers to creates mean for everybody: a full plan, a refused key, an empty
 * account. What it tells must not change what the caller gets: if Redis is silent, the next create finds out anew.
 */
export function tellingFleet(
  tavus: TavusClient,
  slots: Pick<ProviderSlots, 'refused' | 'accepted'>,
  log: AlarmLog,
): TavusClient {
  const told = async (work: Promise<unknown>): Promise<void> => {
    await work.catch((error: unknown) => log.warn({ err: error }, 'the fleet was not told what Tavus says'));
  };
  return {
    ...tavus,
    async createConversation(request, call) {
      try {
        const created = await tavus.createConversation(request, call);
        await told(slots.accepted());
        return created;
      } catch (error) {
        const why = error instanceof TavusFailure ? refusals[error.code] : undefined;
        if (why === undefined) throw error;
        await told(slots.refused(why));
        if (why !== 'capacity') {
          // The alarm: nothing starts in the whole fleet until somebody acts.
          log.error({ why, code: `tavus-${why}` }, 'Tavus refuses the account: no conversation is claimed');
        }
        throw error;
      }
    },
  };
}
