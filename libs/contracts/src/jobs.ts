import { z } from 'zod';
import { ConversationId } from './ids.ts';
import { StartRequest } from './start-request.ts';

/**
 * A job is a wake-up, the record is the truth. Our API writes the record first and leaves `request` out; a backend that
 * enqueues by itself puts it in, and the worker that takes the job makes the record.
 */
export const StartData = z.strictObject({
  v: z.literal(1),
  conversationId: ConversationId,
  request: StartRequest.optional(),
});
export const ControlData = z.strictObject({
  v: z.literal(1),
  conversationId: ConversationId,
  reason: z.string().max(256).optional(),
});

/** The only place where a job's queue, name, shape and limits stand. Attempts are BullMQ's; time is per attempt. */
export const jobs = {
  start: { queue: 'sessions', data: StartData, attempts: 3, timeoutMs: 30_000 },
  stop: { queue: 'control', data: ControlData, attempts: 5, timeoutMs: 5_000 },
  cancel: { queue: 'control', data: ControlData, attempts: 5, timeoutMs: 5_000 },
} as const;

export type JobName = keyof typeof jobs;

/**
 * BullMQ options of a job. Jobs are only wake-ups: what is done tells nobody anything that the record does not. Kept by age and by
 * count, or a flood fills Redis. No custom jobId: BullMQ refuses a second job of the same id while the first is kept, done or not.
 * A second start for the same conversation is the same one as long as the first is in the queue or being run: the sweeper tells by
 * this too whether a conversation that waits has a job.
 */
export function jobOptions(name: JobName, conversationId: string): JobOptions {
  return {
    removeOnComplete: { age: 3600, count: 1000 },
    removeOnFail: { age: 86_400, count: 5000 },
    attempts: jobs[name].attempts,
    backoff: { type: 'exponential', delay: 500, jitter: 0.5 },
    ...(name === 'start' ? { deduplication: { id: conversationId } } : {}),
  };
}
type JobOptions = {
  removeOnComplete: { age: number; count: number };
  removeOnFail: { age: number; count: number };
  attempts: number;
  backoff: { type: 'exponential'; delay: number; jitter: number };
  deduplication?: { id: string };
};

export type StartData = z.infer<typeof StartData>;
export type ControlData = z.infer<typeof ControlData>;

/** BullMQ's `prefix` option: the braces make one Cluster hash tag, so that a queue's keys share a slot. */
export function queuePrefix(keyPrefix: string): string {
  return `{${keyPrefix}}`;
}
