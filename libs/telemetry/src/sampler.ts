import { SpanKind } from '@opentelemetry/api';
import { SamplingDecision, type Sampler } from '@opentelemetry/sdk-trace';

/**
 * A trace begins where somebody asked for something: a request, a job, a session. Housekeeping (BullMQ looking for stalled jobs, a
 * queue being closed) begins none, or most traces would be about nothing.
 */
export const asked: Sampler = {
  shouldSample: (_context, _traceId, _name, kind) => ({
    decision: kind === SpanKind.INTERNAL ? SamplingDecision.NOT_RECORD : SamplingDecision.RECORD_AND_SAMPLED,
  }),
  toString: () => 'asked',
};
