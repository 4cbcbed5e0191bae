import { createHash } from 'node:crypto';
import { conversationKeys, type ConversationId, type ConversationKeys, type WorkerId } from '@tavus-fleet/contracts';

/** Keys of the whole fleet, under the fixed tag `{fleet}`. */
export type FleetKeys = {
  /** Hash: name of a Tavus conversation → row. Each is a provider slot taken. */
  readonly ledger: string;
  /** Sorted set: provider slots that are reserved and no row yet, by when the reservation runs out (ms). */
  readonly slots: string;
  /** Hash: why Tavus refuses the whole fleet, and until when nobody asks. Absent: it does not. */
  readonly provider: string;
  /** Sorted set: conversation id of what waits for a worker, by when it was asked for (ms). */
  readonly queued: string;
  /** Hash: worker id → last heartbeat; `drain:<id>` → drain asked. */
  readonly workers: string;
  /** Sorted set: conversation id by lease deadline (ms), the sweeper's index. */
  readonly leases: string;
  /** Sorted set: conversation id by the deadline of its offer (ms), the heirs' index. */
  readonly offers: string;
  /** Sorted set: what the reaper suspects, by when it was first seen (ms). */
  readonly suspects: string;
  /** String: which run of Redis it is and since when the fleet knows it. */
  readonly since: string;
  /** String: what the reaper's last pass found, as JSON. */
  readonly audit: string;
  /** String that is there while nobody may do a fleet-wide round of that name again. */
  turn(name: string): string;
  /** Sorted set: conversation id by when its events are to be looked at for webhooks (ms). */
  readonly webhooks: string;
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
  /** Hash: one hand-over of that conversation, in its slot. */
  handOver(id: ConversationId): string;
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
      slots: `${fleet}:slots`,
      provider: `${fleet}:provider`,
      queued: `${fleet}:queued`,
      workers: `${fleet}:workers`,
      leases: `${fleet}:leases`,
      offers: `${fleet}:offers`,
      suspects: `${fleet}:suspects`,
      since: `${fleet}:since`,
      audit: `${fleet}:audit`,
      turn: (name) => `${fleet}:turn:${name}`,
      webhooks: `${fleet}:webhooks`,
      index: (createdBy) => `${fleet}:index:${createdBy}`,
      idempotency: (createdBy, idempotencyKey) =>
        `${fleet}:idempotency:${createdBy}:${createHash('sha256').update(idempotencyKey).digest('hex')}`,
    },
    conversation: (id) => conversationKeys(prefix, id),
    handOver: (id) => `${prefix}:{${id}}:hand-over`,
    bell: (workerId) => `${prefix}:{w:${workerId}}:bell`,
  };
}
