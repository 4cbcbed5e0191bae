import { z } from 'zod';

/**
 * queued: nobody owns it · starting: owned, not yet live · live: frames flow · stopping: draining or leaving ·
 * ended, canceled, failed: nothing open, `endReason` set.
 */
export const ConversationState = z.enum(['queued', 'starting', 'live', 'stopping', 'ended', 'canceled', 'failed']);
export type ConversationState = z.infer<typeof ConversationState>;

const moves: Record<ConversationState, readonly ConversationState[]> = {
  queued: ['starting', 'ended', 'canceled', 'failed'],
  starting: ['live', 'stopping', 'ended', 'canceled', 'failed'],
  live: ['stopping', 'ended', 'canceled', 'failed'],
  stopping: ['ended', 'canceled', 'failed'],
  ended: [],
  canceled: [],
  failed: [],
};

/** Whether a move is legal. Forward only; a takeover keeps the state and raises the epoch. A refused move is normal, not an error. */
export function mayMove(from: ConversationState, to: ConversationState): boolean {
  return moves[from].includes(to);
}

/** Nothing of the conversation is open any more and nothing will change. */
export function isFinal(state: ConversationState): boolean {
  return moves[state].length === 0;
}

/** What was asked for while somebody else owns the conversation; cancel beats stop. */
export const Desired = z.enum(['stop', 'cancel']);
export type Desired = z.infer<typeof Desired>;
