import type { ConversationRecord, FleetError } from '@tavus-fleet/contracts';
import { errorOfShutdown } from './succession.ts';

type Found = {
  readonly tavusConversationId?: string | undefined;
  readonly spec: { readonly limits: Pick<ConversationRecord['spec']['limits'], 'maxDurationSeconds'> };
};

/**
 * Tavus' word that a call is over, held against the call that this session is in. Redis passes it on for the conversation that the
 * record names; until this session has saved its own that is the predecessor's, which was perhaps just ended to be replaced: that end
 * must not become ours.
 */
export class ShutdownWord {
  readonly #formerId: string | undefined;
  readonly #onOver: (reason: string) => void;
  #inUse = false;
  #early: string | undefined;

  /** `record`: as this session found it. `forMs`: how long the conversation has been live. */
  constructor(record: Found, forMs: () => number, onOver: (error: FleetError) => void) {
    this.#formerId = record.tavusConversationId;
    const askedMs = record.spec.limits.maxDurationSeconds * 1_000;
    this.#onOver = (reason) => onOver(errorOfShutdown(reason, forMs(), askedMs));
  }

  told(reason: string): void {
    if (this.#inUse) this.#onOver(reason);
    else this.#early = reason;
  }

  /** The record names that one as the session's: what was said before counts only if it was this one already. */
  uses(id: string): void {
    this.#inUse = true;
    if (this.#early !== undefined && id === this.#formerId) this.#onOver(this.#early);
  }
}
