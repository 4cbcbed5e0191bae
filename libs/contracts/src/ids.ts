import { z } from 'zod';

/** What the backend asked for; keys the streams. Used once, ever. 1–64 characters of `[A-Za-z0-9_-]`. */
export const ConversationId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 characters of A-Z a-z 0-9 _ -');
export type ConversationId = z.infer<typeof ConversationId>;

/** A worker process; made at its start, never reused. Same alphabet as a conversation id. */
export const WorkerId = ConversationId;
export type WorkerId = z.infer<typeof WorkerId>;

/**
 * Proof of who may act for a conversation. Both halves are compared at every side effect: the epoch orders owners,
 * the nonce tells two owners apart when Redis lost data and counted an epoch twice.
 */
export const Ownership = z.object({
  conversationId: ConversationId,
  epoch: z.int().positive(),
  nonce: z.string().min(16),
});
export type Ownership = Readonly<z.infer<typeof Ownership>>;
