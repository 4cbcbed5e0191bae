import { z } from 'zod';
import { EndReason } from './end-reason.ts';
import { ConversationId } from './ids.ts';
import { Counters, RecordMetrics, type ConversationRecord } from './record.ts';
import { ConversationState, Desired } from './state.ts';

const Time = z.iso.datetime();

/** A conversation as the API shows it: the record without what is nobody's business. */
export const ConversationView = z.object({
  conversationId: ConversationId,
  state: ConversationState,
  desired: Desired.optional(),
  endReason: EndReason.optional(),
  epoch: z.int(),
  workerId: z.string().optional(),
  tavusConversationId: z.string().optional(),
  /** Why the call at Tavus ended, in Tavus' own words; there if it called back. */
  tavusShutdownReason: z.string().optional(),
  replicaId: z.string(),
  personaId: z.string(),
  /** While it waits for a worker; `position` 1 is next in line. */
  queue: z.object({ position: z.int().positive(), ageMs: z.number().nonnegative() }).optional(),
  createdAt: Time,
  liveAt: Time.optional(),
  endedAt: Time.optional(),
  counters: Counters,
  metrics: RecordMetrics,
  metadata: z.record(z.string(), z.unknown()).optional(),
});
export type ConversationView = z.infer<typeof ConversationView>;

/** The view of a record; `queue`: its place among those that wait. */
export function viewOf(record: ConversationRecord, queue?: ConversationView['queue']): ConversationView {
  const time = (ms: number | undefined): string | undefined =>
    ms === undefined ? undefined : new Date(ms).toISOString();
  const defined = Object.entries({
    queue,
    desired: record.desired,
    endReason: record.endReason,
    workerId: record.owner,
    tavusConversationId: record.tavusConversationId,
    tavusShutdownReason: record.tavusShutdown?.replace(/^\S+ /, ''),
    liveAt: time(record.liveAt),
    endedAt: time(record.endedAt),
    metadata: record.spec.metadata,
  }).filter(([, value]) => value !== undefined);
  return ConversationView.parse({
    conversationId: record.conversationId,
    state: record.state,
    epoch: record.epoch,
    replicaId: record.spec.replicaId,
    personaId: record.spec.personaId,
    createdAt: time(record.createdAt),
    counters: record.counters,
    metrics: record.metrics,
    ...Object.fromEntries(defined),
  });
}

/** RFC 9457 problem+json. `code` is stable; `errors` names every bad field. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string().optional(),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
});
export type Problem = z.infer<typeof Problem>;

/** A worker as `GET /v1/workers` shows it and as its heartbeat in Redis says it. */
export const WorkerView = z.object({
  id: z.string(),
  capacity: z.int(),
  live: z.int(),
  load: z.number(),
  draining: z.boolean(),
  version: z.string(),
  since: Time,
});
export type WorkerView = z.infer<typeof WorkerView>;
