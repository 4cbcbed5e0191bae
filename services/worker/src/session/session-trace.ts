import { traced, type SpanOptions } from '@tavus-fleet/telemetry';
import type { SessionDeps } from './deps.ts';
import type { Ending } from './ending.ts';

/** A session in its conversation's trace: `start` from the claim to live, and `end`. A call of an hour is no span: nobody would see it before it is over. */
export function tracedStart(deps: SessionDeps, work: () => Promise<void>): Promise<void> {
  return traced('start', of(deps), work);
}

export function tracedEnd(deps: SessionDeps, work: () => Promise<Ending>): Promise<Ending> {
  return traced('end', of(deps), async (span) => {
    const ending = await work();
    span.setAttribute('fleet.end_reason', ending.how === 'again' ? 'again' : ending.reason);
    return ending;
  });
}

/** A claim's trace goes on by itself; who takes over without a job goes on in the one that the record keeps. */
function of({ record, ownership, workerId }: SessionDeps): SpanOptions {
  return {
    parent: record.traceparent,
    attributes: {
      'fleet.conversation_id': record.conversationId,
      'fleet.epoch': ownership.epoch,
      'fleet.worker_id': workerId,
    },
  };
}
