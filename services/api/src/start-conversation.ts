import { createHash, randomUUID } from 'node:crypto';
import {
  FleetError,
  viewOf,
  type ConversationRecord,
  type ConversationView,
  type StartRequest,
} from '@tavus-fleet/contracts';
import { sleep, type Clock } from '@tavus-fleet/lifecycle';
import { ownRecord } from './auth.ts';
import type { Conversations, Idempotency, Jobs } from './ports.ts';

export type StartDeps = {
  readonly conversations: Conversations;
  readonly jobs: Jobs;
  readonly idempotency: Idempotency;
  readonly clock: Clock;
  /** Told when a conversation could be neither announced nor withdrawn. */
  readonly onUnsettled: (conversationId: string, error: unknown) => void;
};
type Call = { readonly caller: string; readonly request: StartRequest; readonly idempotencyKey: string | undefined };

/** How long a retry waits for the record of the request it repeats, which may be in flight on another process. */
const TWIN_WAIT_MS = 1000;
const TWIN_POLL_MS = 50;

/**
 * Record first, then job: the record is the truth, the job a wake-up. Answers once both are written.
 *
 * When the job cannot be added after the record was written, the caller gets 503 and the record is withdrawn, so that a retry
 * does not run beside it (an id that the caller chose is used up by then: its record says `start-failed`). When even that fails (Redis has just gone), the record stays queued: the workers' sweeper would
 * start it, and its own limits (start timeout, empty room, idle) end it. A retry with the same Idempotency-Key finds it and
 * wakes it up again (so too a record whose writing was not confirmed in time), which is why the reservation is given back only after a withdrawal. Rejected alternative: 202 in the
 * hope of the sweeper; where no worker runs one, the caller would wait for a conversation that nobody knows of.
 */
export async function startConversation(deps: StartDeps, call: Call): Promise<ConversationView> {
  const conversationId = call.request.conversationId ?? randomUUID();
  if (call.idempotencyKey === undefined) return create(deps, call, conversationId, async () => undefined);

  const claim = {
    createdBy: call.caller,
    idempotencyKey: call.idempotencyKey,
    requestHash: hashOf(call.request),
    conversationId,
  };
  const claimed = await deps.idempotency.claim(claim);
  if (claimed.outcome === 'different') {
    throw new FleetError(
      'idempotency-key-reused',
      'This Idempotency-Key was sent with another body within 24 h; take a new one.',
      { field: 'Idempotency-Key' },
    );
  }
  const twin = claimed.outcome === 'same' ? await twinOf(deps, claimed.conversationId) : undefined;
  if (twin) return again(deps, ownRecord(twin, [call.caller]));
  return create(deps, call, claimed.conversationId, () => deps.idempotency.release(claim));
}

async function create(
  deps: StartDeps,
  call: Call,
  conversationId: string,
  release: () => Promise<void>,
): Promise<ConversationView> {
  const { outcome, record } = await deps.conversations.create({
    request: call.request,
    createdBy: call.caller,
    conversationId,
  });
  if (outcome === 'exists') {
    await release();
    throw new FleetError('conversation-id-used', 'An id is used once, ever; take a new one or leave it out.', {
      field: 'conversationId',
    });
  }
  try {
    await deps.jobs.start(conversationId);
  } catch (error) {
    await withdraw(deps, conversationId, release);
    throw error;
  }
  return viewOf(record);
}

async function withdraw(deps: StartDeps, conversationId: string, release: () => Promise<void>): Promise<void> {
  try {
    if ((await deps.conversations.failUnowned(conversationId, 'start-failed')) === 'ended') await release();
  } catch (error) {
    deps.onUnsettled(conversationId, error);
  }
}

// The job may have been lost between record and queue; adding it again while it waits changes nothing.
async function again(deps: StartDeps, record: ConversationRecord): Promise<ConversationView> {
  if (record.state === 'queued') await deps.jobs.start(record.conversationId);
  return viewOf(record);
}

async function twinOf(deps: StartDeps, conversationId: string): Promise<ConversationRecord | undefined> {
  for (let waitedMs = 0; ; waitedMs += TWIN_POLL_MS) {
    const record = await deps.conversations.get(conversationId);
    if (record || waitedMs >= TWIN_WAIT_MS) return record;
    await sleep(deps.clock, TWIN_POLL_MS);
  }
}

/** Equal for requests that mean the same: after defaults, whatever the order of keys. */
function hashOf(request: StartRequest): string {
  return createHash('sha256').update(JSON.stringify(request, sortKeys)).digest('hex');
}

function sortKeys(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
