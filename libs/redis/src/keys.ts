import { createHash } from 'node:crypto';
import type { ConversationId, WorkerId } from '@tavus-fleet/contracts';

/** The keys of one conversation. All carry the hash tag `{<conversationId>}`, so that one script may touch several in Cluster. */
export type ConversationKeys = {
  readonly record: string;
  readonly secrets: string;
  readonly frames: string;
  /** Hash: producer → number of its last message that is in the frames stream. */
  readonly producers: string;
  readonly events: string;
  readonly audio: string;
  readonly video: string;
  readonly userAudio: string;
  readonly lease: string;
};

/** Keys of the whole fleet, under the fixed tag `{fleet}`. */
export type FleetKeys = {
  /** Hash: name of a Tavus conversation → row. Its length is the number of provider slots taken. */
  readonly ledger: string;
  /** Hash: worker id → last heartbeat; `drain:<id>` → drain asked. */
  readonly workers: string;
  /** Sorted set: conversation id by lease deadline (ms), the sweeper's index. */
  readonly leases: string;
  /** Sorted set: conversation id by creation time (ms), one per API key. */
  index(createdBy: string): string;
  /** String: what an Idempotency-Key stands for. Hashed, because a caller may put anything of any length in it. */
  idempotency(createdBy: string, idempotencyKey: string): string;
};

/** Every key name there is. */
export type Keys = {
  readonly prefix: string;
  readonly fleet: FleetKeys;
  conversation(id: ConversationId): ConversationKeys;
  /** Stream that wakes the worker's blocked reader. A worker id has no `:`, so the tag meets no conversation's. */
  bell(workerId: WorkerId): string;
};

/**
 * Key names under KEY_PREFIX (default `fleet`): `fleet:{abc}:frames` is the frames stream of conversation `abc`, braces
 * included. The fleet's id is not part of them: fleets that share a Redis differ by KEY_PREFIX, as their queues do.
 */
export function createKeys(prefix: string): Keys {
  const fleet = `${prefix}:{fleet}`;
  return {
    prefix,
    fleet: {
      ledger: `${fleet}:ledger`,
      workers: `${fleet}:workers`,
      leases: `${fleet}:leases`,
      index: (createdBy) => `${fleet}:index:${createdBy}`,
      idempotency: (createdBy, idempotencyKey) =>
        `${fleet}:idempotency:${createdBy}:${createHash('sha256').update(idempotencyKey).digest('hex')}`,
    },
    conversation(id) {
      const base = `${prefix}:{${id}}`;
      return {
        record: `${base}:record`,
        secrets: `${base}:secrets`,
        frames: `${base}:frames`,
        producers: `${base}:producers`,
        events: `${base}:events`,
        audio: `${base}:audio`,
        video: `${base}:video`,
        userAudio: `${base}:user-audio`,
        lease: `${base}:lease`,
      };
    },
    bell: (workerId) => `${prefix}:{w:${workerId}}:bell`,
  };
}
