import { isFinal, readRecord, type ConversationRecord, type Ownership } from '@tavus-fleet/contracts';
import { systemClock, type Clock } from '@tavus-fleet/lifecycle';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import { ConversationIndex } from './conversation-index.ts';
import type { Keys } from './keys.ts';
import type { LeaseRenewals } from './lease-keeper.ts';
import { LEASE_TTL_MS, type Renewal } from './leases.ts';
import { silentLog, type Log } from './log.ts';
import { conversationKeyList, wordScript } from './scripts.ts';

const rebuildScript = wordScript('rebuild', ['rebuilt', 'exists']);

/** What changed since the last copy is lost with Redis' memory: a stop that was asked for, or which Tavus conversation it is now. */
const COPY_EVERY_MS = 5_000;
/** The script writes these itself, or they are another owner's. */
const OWNERS_FIELDS: ReadonlySet<string> = new Set(['epoch', 'ownerNonce', 'seenAt', 'rebuilt']);

type Hash = Readonly<Record<string, string>>;
type Copy = { readonly nonce: string; readonly record: Hash; readonly secrets: Hash };

/**
 * Renewals of leases by owners that remember what they own: a record that Redis has lost (restarted without its file, an old
 * dump, an emptied database) is written again by its owner, with the epoch and nonce it has. Until then every write of an owner
 * is refused as `redis-unavailable`, so nobody takes the loss for a successor. Ledger rows follow by their own rhythm (`OwnRows`). A record is copied once it is live; one that still
 * starts has nobody to lose, and is given up. Frames and events that waited in Redis are gone with it.
 */
export class RecordCopies implements LeaseRenewals {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;
  readonly #leases: LeaseRenewals;
  readonly #index: ConversationIndex;
  readonly #clock: Clock;
  readonly #log: Log;
  #copies = new Map<string, Copy>();
  #copiedAt = Number.NEGATIVE_INFINITY;
  #copying: Promise<void> | undefined;

  constructor(options: { redis: RedisConnection; keys: Keys; leases: LeaseRenewals; clock?: Clock; log?: Log }) {
    this.#redis = options.redis;
    this.#keys = options.keys;
    this.#leases = options.leases;
    this.#index = new ConversationIndex(options.redis, options.keys);
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
  }

  async renewAll(owners: readonly Ownership[]): Promise<ReadonlyMap<string, Renewal>> {
    const renewals = new Map(await this.#leases.renewAll(owners));
    const gone = owners.filter(({ conversationId }) => renewals.get(conversationId)?.status === 'absent');
    const rebuilt = await Promise.all(gone.map((owner) => this.#rebuild(owner)));
    for (const [i, renewal] of rebuilt.entries()) {
      const owner = gone[i];
      if (owner && renewal) renewals.set(owner.conversationId, renewal);
    }
    this.#copySometimes(owners.filter(({ conversationId }) => renewals.get(conversationId)?.status === 'held'));
    return renewals;
  }

  release(owner: Ownership): Promise<'released' | 'fenced'> {
    return this.#leases.release(owner);
  }

  /** Undefined: there is no copy of it. */
  async #rebuild(owner: Ownership): Promise<Renewal | undefined> {
    const { conversationId, epoch, nonce } = owner;
    const copy = this.#copies.get(conversationId);
    if (copy?.nonce !== nonce) return undefined;
    const record = pairs(copy.record);
    const keys = conversationKeyList(this.#keys.conversation(conversationId));
    const args = [epoch, nonce, LEASE_TTL_MS, record.length, ...record, ...pairs(copy.secrets)];
    const outcome = await redisCall(() => rebuildScript.run(this.#redis, keys, ...args));
    if (outcome === 'exists') return { status: 'lost' };
    const { createdBy, createdAt, desired } = parsed(conversationId, copy.record) ?? {};
    if (createdBy !== undefined && createdAt !== undefined)
      await redisCall(() => this.#index.add(createdBy, { id: conversationId, createdAt }));
    this.#log.warn({ conversationId, epoch }, 'Redis has lost a record; its owner has written it again');
    return { status: 'held', ...(desired === undefined ? {} : { desired }) };
  }

  #copySometimes(owners: readonly Ownership[]): void {
    const now = this.#clock.now();
    if (this.#copying || now - this.#copiedAt < COPY_EVERY_MS) return;
    this.#copiedAt = now;
    this.#copying = this.#copy(owners)
      .catch(() => undefined) // Redis is silent: what was copied before stays
      .finally(() => {
        this.#copying = undefined;
      });
  }

  async #copy(owners: readonly Ownership[]): Promise<void> {
    const read = await redisCall(() => Promise.all(owners.map((owner) => this.#read(owner))));
    this.#copies = new Map(
      owners.flatMap(({ conversationId }, i) => {
        const copy = read[i];
        return copy === undefined ? [] : [[conversationId, copy] as const];
      }),
    );
  }

  async #read({ conversationId, nonce }: Ownership): Promise<Copy | undefined> {
    const keys = this.#keys.conversation(conversationId);
    const [record, secrets] = await Promise.all([this.#redis.hgetall(keys.record), this.#redis.hgetall(keys.secrets)]);
    // Lost since the renewal: the driver repeats what was under way when Redis went.
    if (Object.keys(record).length === 0) return this.#copies.get(conversationId);
    const { state, ownerNonce } = parsed(conversationId, record) ?? {};
    if (ownerNonce !== nonce || state === undefined || isFinal(state) || state === 'queued' || state === 'starting')
      return undefined;
    return { nonce, record, secrets };
  }
}

function pairs(hash: Hash): string[] {
  return Object.entries(hash).flatMap(([name, value]) => (OWNERS_FIELDS.has(name) ? [] : [name, value]));
}

/** Undefined also for one that is malformed: what nobody can read is not worth keeping. */
function parsed(id: string, hash: Hash): ConversationRecord | undefined {
  try {
    return readRecord(id, hash);
  } catch {
    return undefined;
  }
}
