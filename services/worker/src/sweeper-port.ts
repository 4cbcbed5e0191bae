import type { ConversationRecord, StartData } from '@tavus-fleet/contracts';
import {
  Queued,
  redisCall,
  redisTime,
  Turns,
  whereabouts,
  type Keys,
  type Queues,
  type Records,
  type RedisConnection,
} from '@tavus-fleet/redis';
import type { SweeperPort } from './sweeper.ts';

const EVERY_MS = 1_500;

/** The sweeper's port on Redis and BullMQ. */
export function fleetSweeperPort(deps: {
  readonly redis: RedisConnection;
  readonly keys: Keys;
  readonly queues: Queues;
  readonly records: Records;
  /** The record of a job; made now if only the job exists. */
  readonly recordOf: (data: StartData) => Promise<ConversationRecord>;
}): SweeperPort {
  const { redis, keys, queues, records, recordOf } = deps;
  const turns = new Turns(redis, keys);
  const queued = new Queued(redis, keys);
  return {
    turn: () => turns.take('sweep', EVERY_MS),
    nowMs: () => redisTime(redis),
    async jobs(limit) {
      const jobs = await redisCall(() =>
        queues.sessions.getJobs(['wait', 'delayed', 'prioritized'], 0, limit - 1, true),
      );
      return jobs.map((job) => job.data as unknown); // safe: BullMQ types data as any; the sweeper parses it
    },
    async adopt(data) {
      const { state, conversationId } = await recordOf(data);
      if (state === 'queued') await queued.add(conversationId);
    },
    queued: (limit) => queued.oldest(limit),
    async record(id) {
      const record = await records.get(id);
      if (!record) return undefined;
      const { state, createdAt, spec } = record;
      return { state, createdAt, startTimeoutSeconds: spec.limits.startTimeoutSeconds };
    },
    forget: (ids) => queued.remove(...ids),
    failStartTimeout: async (id) => void (await records.failUnowned(id, 'start-timeout')),
    async forgotten(ids) {
      const without = await queues.withoutStart(ids);
      const where = await whereabouts(redis, keys, without);
      return without.filter((id) => where.get(id)?.leased === false);
    },
    wakeUp: async (conversationId) => void (await queues.enqueue('start', { v: 1, conversationId })),
  };
}
