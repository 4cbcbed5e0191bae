/**
 * The Tavus conversation behind the service, as it needs it. Its owner implements this with whatever must surround each call
 * (a ledger, an epoch), so that the service cannot create or end anything without it. Failures are FleetErrors.
 */
export interface ConversationApi {
  create(signal: AbortSignal): Promise<{ conversationId: string; conversationUrl: string; meetingToken?: string }>;
  /** Ends it; done when Tavus says that it is over. Called once per created conversation, whatever happened. */
  end(conversationId: string, signal: AbortSignal): Promise<void>;
  /** Name that the replica shows in the call. */
  personaName(signal: AbortSignal): Promise<string>;
}
