import { asFleetError, type EndReason, type FleetError } from '@tavus-fleet/contracts';

/**
 * How a session ends. `stop` finishes what was accepted; `cancel` leaves at once; `abandon` means somebody else owns the
 * conversation now: leave silently, end nothing at Tavus, write nothing.
 */
export type Ending =
  | { readonly how: 'stop' | 'cancel'; readonly reason: EndReason; readonly error?: FleetError }
  | { readonly how: 'abandon'; readonly reason: 'lease-lost' };

/** The end reason of a conversation whose start failed with this error. One table for start and for a call that breaks later. */
export function endingOf(thrown: unknown, phase: 'start' | 'live'): Ending {
  const error = asFleetError(thrown);
  if (error.code === 'lease-lost') return { how: 'abandon', reason: 'lease-lost' };
  return { how: 'cancel', reason: reasonOf(error, phase), error };
}

function reasonOf(error: FleetError, phase: 'start' | 'live'): EndReason {
  switch (error.code) {
    case 'tavus-auth':
    case 'tavus-credits':
    case 'user-room-refused':
    case 'replica-lost':
      return error.code;
    case 'replica-absent':
      return phase === 'start' ? 'start-timeout' : 'replica-lost';
    case 'internal':
      return 'internal';
    default:
      return phase === 'start' ? 'start-failed' : 'internal';
  }
}
