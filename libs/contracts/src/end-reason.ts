import { z } from 'zod';

/** Why a conversation ended: a closed list; the same word in the API's answer, the summary line and the metric's label. */
export const EndReason = z.enum([
  'stopped',
  'canceled',
  'idle',
  'room-empty',
  'max-duration',
  'start-timeout',
  'start-failed',
  'tavus-ended',
  'tavus-auth',
  'tavus-credits',
  'replica-lost',
  'user-room-refused',
  'drained',
  'quarantined',
  'internal',
]);
export type EndReason = z.infer<typeof EndReason>;

const finalStates = {
  stopped: 'ended',
  canceled: 'canceled',
  idle: 'ended',
  'room-empty': 'ended',
  'max-duration': 'ended',
  'start-timeout': 'failed',
  'start-failed': 'failed',
  'tavus-ended': 'ended',
  'tavus-auth': 'failed',
  'tavus-credits': 'failed',
  'replica-lost': 'failed',
  'user-room-refused': 'failed',
  drained: 'ended',
  quarantined: 'failed',
  internal: 'failed',
} as const satisfies Record<EndReason, 'ended' | 'canceled' | 'failed'>;

/** The final state a reason leads to. One table, so that state and reason can never disagree. */
export function finalState(reason: EndReason): 'ended' | 'canceled' | 'failed' {
  return finalStates[reason];
}
