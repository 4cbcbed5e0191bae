import { randomBytes } from 'node:crypto';
import { Desired, FleetError, type Ownership } from '@tavus-fleet/contracts';
import { redisCall } from './call.ts';
import { ensureConnected, type RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import { isReplicated } from './replicated.ts';
import { listScript, textScript, wordScript } from './scripts.ts';

const acquireScript = textScript('acquire');
const renewScript = textScript('renew');
const releaseScript = wordScript('release', ['released', 'fenced']);
const recoverScript = textScript('recover');
const touchScript = wordScript('touch-leases', ['touched']);
const dueScript = listScript('due-leases');

export const LEASE_TTL_MS = 3000;
/** Usually a millisecond; meanwhile everything else on that connection waits. */

/** Redis' word about one lease. `tavusShutdown`: Tavus has said that its call is over, and why. `absent`: the record is gone, so data was lost; nobody else can own it either. */
export type Renewal =
  | { readonly status: 'held'; readonly desired?: Desired; readonly tavusShutdown?: string }
  | { readonly status: 'lost' | 'absent' };
/** Whoever owned it before and did not give it back. */
export type Predecessor = {
  readonly epoch: number;
  /** How many owners in a row it brought down, this one included. */
  readonly crashes: number;
  /** When Redis heard of it last, ms since 1970 by Redis' clock. */
  readonly seenAt: number;
};
/** `redisNowMs`: Redis' clock at that moment, ms since 1970, so that the new owner can tell how old the record is. */
export type Owned = {
  readonly ownership: Ownership;
  readonly redisNowMs: number;
  readonly predecessor?: Predecessor;
};
export type Acquired = Owned | { readonly refused: 'final' | 'held' | 'absent' };

/**
 * Who may act for a conversation. A lease is a key that dies by itself; epoch and nonce in the record outlive it, so that
 * after an outage the same owner can take it again while a second owner cannot appear unseen. Renewals go over a
 * connection of their own: a slow command must not cost a lease.
 */
export class Leases {
  readonly #redis: RedisConnection;
  readonly #renewals: RedisConnection;
  readonly #keys: Keys;
  readonly #ttlMs: number;
  readonly #waitForReplica: boolean;

  /**
   * `commands` and `lease` are connections of those roles (the caller closes them). `waitForReplica`: an acquire counts once a
   * replica has it (WAIT), where there is one: a failover right after it must not forget the owner. For Sentinel and Cluster.
   */
  constructor(options: {
    commands: RedisConnection;
    lease: RedisConnection;
    keys: Keys;
    ttlMs?: number;
    waitForReplica?: boolean;
  }) {
    this.#redis = options.commands;
    this.#renewals = options.lease;
    this.#keys = options.keys;
    this.#ttlMs = options.ttlMs ?? LEASE_TTL_MS;
    this.#waitForReplica = options.waitForReplica ?? false;
  }

  /**
   * Becomes the owner if the record is not final and nobody holds it. The sweepers' index is written first: a worker that dies
   * right after it became the owner is found there, and an entry for one that did not become it is put right by the next look.
   */
  async acquire(id: string, workerId: string, nonce: string = newNonce()): Promise<Acquired> {
    const [, answer] = await redisCall(() =>
      Promise.all([
        this.#touch(this.#redis, [id]), // leaves first, on the same connection
        acquireScript.run(this.#redis, this.#pair(id), workerId, nonce, this.#ttlMs),
      ]),
    );
    if (answer === 'final' || answer === 'held' || answer === 'absent') return { refused: answer };
    const [epoch, redisNowMs, crashes, seenAt] = numbers(answer);
    const ownership = { conversationId: id, epoch, nonce };
    await this.#replicated(ownership);
    return { ownership, redisNowMs, ...(seenAt === 0 ? {} : { predecessor: { epoch: epoch - 1, crashes, seenAt } }) };
  }

  /**
   * The owner itself begins anew, with the next epoch and no moment without an owner: its session cannot go on, the conversation
   * can. `crashed` counts the old session as an owner that was brought down.
   */
  async recover(
    owner: Ownership,
    workerId: string,
    crashed: boolean,
    nonce: string = newNonce(),
  ): Promise<Required<Owned> | { readonly refused: 'fenced' | 'final' }> {
    const { conversationId: id } = owner;
    const args = [owner.epoch, owner.nonce, workerId, nonce, this.#ttlMs, crashed ? '1' : '0'];
    const answer = await redisCall(() => recoverScript.run(this.#redis, this.#pair(id), ...args));
    if (answer === 'fenced' || answer === 'final') return { refused: answer };
    const [epoch, redisNowMs, crashes] = numbers(answer);
    const ownership = { conversationId: id, epoch, nonce };
    await this.#replicated(ownership);
    await redisCall(() => this.#touch(this.#redis, [id]));
    return { ownership, redisNowMs, predecessor: { epoch: owner.epoch, crashes, seenAt: redisNowMs } };
  }

  /**
   * Renews many in one round trip. A lease that ran out meanwhile is taken again if the record still names its owner and nobody else has
   * one. What is not in the answer is *unknown*, not lost: in a Cluster the leases of a master that is away, while those of the others are
   * held. Rejects when Redis is silent about all.
   */
  async renewAll(owners: readonly Ownership[]): Promise<ReadonlyMap<string, Renewal>> {
    if (owners.length === 0) return new Map();
    return redisCall(async () => {
      await ensureConnected(this.#renewals);
      const calls = owners.map((owner) => ({
        keys: this.#pair(owner.conversationId),
        args: [owner.epoch, owner.nonce, this.#ttlMs],
      }));
      const answering = renewScript.runAll(this.#renewals, calls);
      const touched = this.#touch(
        this.#renewals,
        owners.map((owner) => owner.conversationId),
      ); // same turn: one write to the socket
      // The index may lie with a master that is away: what it says too early a sweeper looks up, and finds held.
      const [answers] = await Promise.all([answering, touched.catch(() => undefined)]);
      const renewals = new Map<string, Renewal>();
      for (const [i, { conversationId }] of owners.entries()) {
        const answer = answers[i];
        if (typeof answer === 'string') renewals.set(conversationId, readRenewal(answer));
      }
      const [first] = answers;
      if (renewals.size === 0) throw first instanceof Error ? first : new Error('No reply.');
      return renewals;
    });
  }

  /** The same for one lease: an owner that was cut off asks whether it still is the owner. */
  async retake(owner: Ownership): Promise<Renewal> {
    return readRenewal(
      await redisCall(() =>
        renewScript.run(this.#redis, this.#pair(owner.conversationId), owner.epoch, owner.nonce, this.#ttlMs),
      ),
    );
  }

  /**
   * Gives the lease up, so that the next owner need not wait for it to run out. `fenced`: it was not ours any more.
   * The index is left as it is: a conversation that goes on without an owner is found there by a sweeper.
   */
  async release(owner: Ownership): Promise<'released' | 'fenced'> {
    return redisCall(() => releaseScript.run(this.#redis, this.#pair(owner.conversationId), owner.epoch, owner.nonce));
  }

  /**
   * Conversations whose lease has run out and that are not over: what a sweeper takes over. Repairs the index on the way.
   * Only Redis is asked; that it answered without a gap for 4 s is the caller's to check (`RedisHealth.steadyMs`).
   */
  async expired(limit = 100): Promise<string[]> {
    return redisCall(async () => {
      const ids = await dueScript.run(this.#redis, [this.#keys.fleet.leases], limit);
      const found = await Promise.all(ids.map((id) => this.#lookAt(id)));
      const over = ids.filter((_, i) => found[i] === 'over');
      if (over.length > 0) await this.#redis.zrem(this.#keys.fleet.leases, ...over);
      // Due again when the lease runs out, not a whole TTL from now: an heir that died as it was given one would be found 2 s late.
      await Promise.all(
        ids.map(async (id, i) => {
          const leftMs = found[i];
          if (typeof leftMs === 'number') await this.#touch(this.#redis, [id], leftMs);
        }),
      );
      return ids.filter((_, i) => found[i] === 'expired');
    });
  }

  /** A number: held, for so many ms more. */
  async #lookAt(id: string): Promise<'over' | 'expired' | number> {
    const keys = this.#keys.conversation(id);
    const [state, leftMs] = await Promise.all([this.#redis.hget(keys.record, 'state'), this.#redis.pttl(keys.lease)]);
    if (state === null || state === 'ended' || state === 'canceled' || state === 'failed') return 'over';
    return leftMs >= 0 ? leftMs : 'expired';
  }

  async #replicated(ownership: Ownership): Promise<void> {
    if (!this.#waitForReplica) return;
    const { lease } = this.#keys.conversation(ownership.conversationId);
    if (await isReplicated(this.#redis, lease)) return;
    await this.release(ownership);
    throw new FleetError('redis-unavailable', 'No replica took the new owner in time.');
  }

  #touch(redis: RedisConnection, ids: readonly string[], dueInMs = this.#ttlMs): Promise<'touched'> {
    return touchScript.run(redis, [this.#keys.fleet.leases], dueInMs, ...ids);
  }

  #pair(id: string): readonly string[] {
    const { record, lease } = this.#keys.conversation(id);
    return [record, lease];
  }
}

/** 128 random bits: what tells two owners of one epoch apart. */
export function newNonce(): string {
  return randomBytes(16).toString('hex');
}

/** `<number>:<number>…` of our own scripts. */
function numbers(answer: string): [number, number, number, number] {
  const [first = Number.NaN, second = Number.NaN, third = Number.NaN, fourth = 0] = answer.split(':').map(Number);
  if (!Number.isFinite(first + second + third + fourth))
    throw new FleetError('internal', 'A lease script gave an unknown answer.');
  return [first, second, third, fourth];
}

function readRenewal(answer: string): Renewal {
  if (answer === 'lost' || answer === 'absent') return { status: answer };
  const [, verb = '', tavusShutdown = ''] = /^held:([^:]*):(.*)$/s.exec(answer) ?? [];
  const desired = Desired.safeParse(verb);
  return {
    status: 'held',
    ...(desired.success ? { desired: desired.data } : {}),
    ...(tavusShutdown === '' ? {} : { tavusShutdown }),
  };
}
