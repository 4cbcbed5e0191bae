import type { CreatedConversation, TavusPersona } from './answers.ts';
import type { CallOptions } from './http.ts';

/** A conversation to create. Seconds as Tavus counts them. */
export type CreateConversation = {
  readonly replicaId: string;
  readonly personaId: string;
  readonly conversationName: string;
  readonly callbackUrl?: string | undefined;
  readonly audioOnly?: boolean | undefined;
  readonly conversationalContext?: string | undefined;
  readonly customGreeting?: string | undefined;
  /** Created already ended: no replica joins, nothing is billed. */
  readonly testMode?: boolean | undefined;
  readonly properties?: {
    readonly maxCallDurationSeconds?: number | undefined;
    readonly participantLeftTimeoutSeconds?: number | undefined;
    readonly participantAbsentTimeoutSeconds?: number | undefined;
    readonly languages?: readonly string[] | undefined;
    readonly applyGreenscreen?: boolean | undefined;
    readonly enableRecording?: boolean | undefined;
    readonly enableClosedCaptions?: boolean | undefined;
  };
};

/**
 * What a session asks of Tavus. All calls reject with TavusFailure, or with the signal's reason when it aborts; an aborted or
 * failed create with `outcomeUnknown` may have made a conversation that costs money: look for its name.
 */
export interface TavusApi {
  /** One attempt, never repeated: Tavus has no idempotency key. Billing starts here. */
  createConversation(request: CreateConversation, call: CallOptions): Promise<CreatedConversation>;
  /** Resolves when the conversation is known to be over, by this call or before it. */
  endConversation(conversationId: string, call: CallOptions): Promise<void>;
  getPersona(personaId: string, call: CallOptions): Promise<TavusPersona>;
}
