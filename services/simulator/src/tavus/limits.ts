/**
 * Every bound of Tavus' side in one place. Tavus documents none of them except the 3600 s; the rest is our choice:
 * large enough that no honest client meets them, small enough that a runaway test cannot fill the memory.
 */
export const LIMITS = {
  /** Characters of a name or an id. */
  name: 255,
  /** Characters of a context, a greeting or a system prompt. */
  text: 100_000,
  url: 2_048,
  /** Documented as the maximum of `max_call_duration`; a larger value is capped without an error (documented later). */
  maxCallSeconds: 3_600,
  /** Ended conversations remembered; the oldest go first. Billing sums survive them. */
  endedConversations: 5_000,
  /** REST calls remembered per conversation. */
  callsPerConversation: 1_000,
  /** Bytes of sound and messages kept of ended conversations, all together; the oldest go first. */
  recordingBytes: 256 * 1024 * 1024,
  madePersonas: 1_000,
  webhookQueue: 1_000,
  webhookDeadlineMs: 5_000,
  /** How long a create that never answers holds its socket, unless the fault says otherwise. */
  heldSocketMs: 120_000,
  /** Reading out or stopping a replica while its conversation ends. */
  replicaDeadlineMs: 5_000,
} as const;
