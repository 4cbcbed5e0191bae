import { FleetError, type Ownership } from '@tavus-fleet/contracts';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import { handOverSteps, type HandOverStep } from './hand-over-steps.ts';
import type { Keys } from './keys.ts';
import { LEASE_TTL_MS } from './leases.ts';
import { patchArguments, type RecordPatch } from './record-codec.ts';
import { listScript, textScript, wordScript } from './scripts.ts';

const offerScript = textScript('hand-over-offer');
const openOffersScript = listScript('open-offers');
const claimScript = textScript('hand-over-claim');
const stepScript = wordScript('hand-over-step', ['taken', 'refused']);
const lookScript = wordScript('hand-over-look', [
  'offered',
  'claimed',
  'ready',
  'given',
  'silent',
  'shown',
  'withdrawn',
  'declined',
  'void',
]);
const giveScript = wordScript('hand-over', ['given', 'refused', 'fenced']);

/** The index outlives the last offer by this. */
const OFFERS_TTL_S = 3_600;

/** One offer of one owner; `token` is random and tells it from every other. */
export type Offer = { readonly owner: Ownership; readonly token: string };
/** What a heir holds: it becomes `ownership` when the owner gives, and not before. */
export type Claim = { readonly ownership: Ownership; readonly ownerEpoch: number; readonly token: string };

/**
 * Hand-overs between two workers. The state of one lies in its conversation's slot and changes by scripts only, so that each step is
 * one step for both; the offers are an index of the fleet. All deadlines are by Redis' clock. Rejects with `redis-unavailable`.
 */
export class HandOvers {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;
  readonly #stands: (step: HandOverStep) => number;

  /** `standsMs` replaces the table's times in tests. */
  constructor(redis: RedisConnection, keys: Keys, standsMs?: (step: HandOverStep) => number) {
    this.#redis = redis;
    this.#keys = keys;
    this.#stands = standsMs ?? ((step) => handOverSteps[step].standsMs);
  }

  /** Offers a live conversation. `busy`: it is not live, or was asked to end. Asking again with the same token is offering anew. */
  async offer({ owner, token }: Offer): Promise<'offered' | 'fenced' | 'busy'> {
    const id = owner.conversationId;
    const answer = await redisCall(() =>
      offerScript.run(this.#redis, this.#pair(id), owner.epoch, owner.nonce, token, this.#stands('offered')),
    );
    if (answer === 'fenced' || answer === 'busy') return answer;
    const until = Number(answer);
    if (!Number.isFinite(until)) throw new FleetError('internal', 'The script hand-over-offer gave an unknown answer.');
    const index = this.#keys.fleet.offers;
    await redisCall(() => Promise.all([this.#redis.zadd(index, until, id), this.#redis.expire(index, OFFERS_TTL_S)]));
    return 'offered';
  }

  /** Conversations that are offered, the oldest offer first. */
  async open(limit = 32): Promise<string[]> {
    return redisCall(() => openOffersScript.run(this.#redis, [this.#keys.fleet.offers], limit));
  }

  /** Becomes the heir, if nobody else has and the offer still stands; `nonce` will be the new owner's. */
  async claim(id: string, workerId: string, nonce: string): Promise<Claim | undefined> {
    const answer = await redisCall(() =>
      claimScript.run(this.#redis, this.#pair(id), workerId, nonce, this.#stands('claimed')),
    );
    // Whoever got it, it is open no more; and an entry for nothing is in nobody's way for longer than the first look.
    await redisCall(() => this.#redis.zrem(this.#keys.fleet.offers, id));
    const [epoch = '', token = ''] = answer.split(':');
    if (token === '') return undefined;
    const ownerEpoch = Number(epoch);
    return { ownership: { conversationId: id, epoch: ownerEpoch + 1, nonce }, ownerEpoch, token };
  }

  /** The heir's steps. `refused`: the hand-over is void, or beyond that step. */
  async heirSteps(claim: Claim, step: 'ready' | 'shown' | 'declined'): Promise<'taken' | 'refused'> {
    return this.#step(claim.ownership.conversationId, claim.token, claim.ownership.nonce, step);
  }

  /** The owner goes on by itself. `refused`: it was given already, or is void. */
  async withdraw({ owner, token }: Offer): Promise<'taken' | 'refused'> {
    const outcome = await this.#step(owner.conversationId, token, '', 'withdrawn');
    await redisCall(() => this.#redis.zrem(this.#keys.fleet.offers, owner.conversationId));
    return outcome;
  }

  /** The owner that was is not heard any more. `refused`: its heir did not wait. */
  async silent({ owner, token }: Offer): Promise<'taken' | 'refused'> {
    return this.#step(owner.conversationId, token, '', 'silent');
  }

  /** How far it is. */
  async look(id: string, token: string): Promise<HandOverStep | 'void'> {
    return redisCall(() => lookScript.run(this.#redis, this.#pair(id), token));
  }

  /**
   * Makes the heir that is ready the owner, with what the record must say for it to go on. After `given` nothing of the old owner
   * counts any more. Safe to ask again after a lost answer. `refused`: nobody is ready (any more), or it was asked to end.
   */
  async give({ owner, token }: Offer, at: RecordPatch): Promise<'given' | 'refused' | 'fenced'> {
    const { record, lease } = this.#keys.conversation(owner.conversationId);
    const keys = [record, lease, this.#keys.handOver(owner.conversationId)];
    const times = [LEASE_TTL_MS, this.#stands('given')];
    const args = [owner.epoch, owner.nonce, token, ...times, at.position ?? '', ...patchArguments(at)];
    return redisCall(() => giveScript.run(this.#redis, keys, ...args));
  }

  #step(id: string, token: string, heirNonce: string, step: HandOverStep): Promise<'taken' | 'refused'> {
    const from = `,${handOverSteps[step].from.join(',')},`;
    return redisCall(() =>
      stepScript.run(this.#redis, this.#pair(id), token, heirNonce, step, from, this.#stands(step)),
    );
  }

  #pair(id: string): readonly string[] {
    return [this.#keys.conversation(id).record, this.#keys.handOver(id)];
  }
}
