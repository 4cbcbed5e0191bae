import { FleetError } from '@tavus-fleet/contracts';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import { textScript } from './scripts.ts';

const claimScript = textScript('claim-idempotency');

/** `new`: go on with the id you brought · `same`: it was asked before, this is its conversation · `different`: the key was used for another request. */
export type IdempotencyClaim = { readonly outcome: 'new' | 'same' | 'different'; readonly conversationId: string };

const TTL_MS = 24 * 3600 * 1000;

/** Makes a retried request the same request for 24 h, per API key. */
export class Idempotency {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;

  constructor(redis: RedisConnection, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** `requestHash` is any text without spaces that is equal for equal requests. */
  async claim(claim: {
    createdBy: string;
    idempotencyKey: string;
    requestHash: string;
    conversationId: string;
  }): Promise<IdempotencyClaim> {
    const { createdBy, idempotencyKey, requestHash, conversationId } = claim;
    const key = this.#keys.fleet.idempotency(createdBy, idempotencyKey);
    const answer = await redisCall(() => claimScript.run(this.#redis, [key], requestHash, conversationId, TTL_MS));
    if (answer === 'new') return { outcome: 'new', conversationId };
    const [hash, first] = answer.split(' ');
    if (first === undefined) throw new FleetError('internal', 'A stored idempotency key is malformed.');
    return { outcome: hash === requestHash ? 'same' : 'different', conversationId: first };
  }
}
