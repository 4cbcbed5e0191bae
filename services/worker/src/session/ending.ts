import type { EndReason, FleetError } from '@tavus-fleet/contracts';
import type { Again } from './succession.ts';

/**
 * How a session ends. `stop` finishes what was accepted; `cancel` leaves at once; `again`: the session cannot go on, the
 * conversation can, in the next session on this worker; `handed-over`: the next session is on another
 * worker and goes on already: out of the rooms without a word; `abandon` means somebody else owns the conversation now: leave
 * silently, end nothing at Tavus, write nothing.
 */
export type Ending =
  | { readonly how: 'stop' | 'cancel'; readonly reason: EndReason; readonly error?: FleetError }
  | { readonly how: 'again'; readonly again: Again }
  | { readonly how: 'handed-over'; readonly reason: 'lease-lost' }
  | { readonly how: 'abandon'; readonly reason: 'lease-lost' };
