import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import { textScript, wordScript } from './scripts.ts';

const refusals = ['capacity', 'auth', 'credits'] as const;
/** Why Tavus refuses every create just now: the plan is full · the key is · the account is empty. */
export type Refusal = (typeof refusals)[number];

const roomScript = wordScript('provider-room', ['free', 'full', ...refusals]);
const reserveScript = wordScript('provider-reserve', ['ok', 'full', ...refusals]);
const releaseScript = wordScript('provider-release', ['released', 'absent']);
const refusedScript = textScript('provider-refused');

/** From the reservation to the row: a page is opened in between. Whoever dies with one gives it back by this. */
const RESERVATION_MS = 30_000;
/** Longer than a create takes. */
export const TRY_ALONE_MS = 20_000;
/** A key or an account is not put right within seconds, and each look costs a conversation its start. */
const ACCOUNT_PAUSE_MS = 30_000;

export type ProviderState = {
  /** Rows of the ledger. */
  readonly open: number;
  readonly reserved: number;
  readonly refusal?: {
    readonly why: Refusal;
    /** Until somebody may ask again; 0: somebody is finding out. */ readonly forMs: number;
  };
};

/** Who holds a reservation: two workers with a job of one conversation must not undo each other's. */
export const holderOf = (workerId: string, conversationId: string): string => `${workerId}:${conversationId}`;

/**
 * What the fleet may have open at Tavus at once. A slot is a row of the ledger, or a reservation that becomes one; both are counted
 * in the script that takes the next, so that no two can take the last. What Tavus says about the whole account is shared here too:
 * while it refuses nobody asks, and then one finds out for all.
 */
export class ProviderSlots {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;
  readonly #most: number;

  constructor(redis: RedisConnection, keys: Keys, maxConcurrent: number) {
    this.#redis = redis;
    this.#keys = keys;
    this.#most = maxConcurrent;
  }

  /** Whether there is a slot, without taking it. */
  room(): Promise<'free' | 'full' | Refusal> {
    return redisCall(() => roomScript.run(this.#redis, this.#all(), this.#most));
  }

  /** Takes a slot for 30 s; `Ledger.intend` of the same worker and conversation turns it into a row. Asking again is asking once. */
  reserve(workerId: string, conversationId: string): Promise<'ok' | 'full' | Refusal> {
    const holder = holderOf(workerId, conversationId);
    return redisCall(() =>
      reserveScript.run(this.#redis, this.#all(), holder, this.#most, RESERVATION_MS, TRY_ALONE_MS),
    );
  }

  /** Gives the reservation back; nothing happens when it is a row by now. */
  async release(workerId: string, conversationId: string): Promise<void> {
    const { slots, provider } = this.#keys.fleet;
    await redisCall(() => releaseScript.run(this.#redis, [slots, provider], holderOf(workerId, conversationId)));
  }

  /** Tavus refused a create for this reason. Answers for how long nobody asks again, ms. */
  async refused(why: Refusal): Promise<number> {
    const pause = why === 'capacity' ? '' : ACCOUNT_PAUSE_MS;
    return Number(await redisCall(() => refusedScript.run(this.#redis, [this.#keys.fleet.provider], why, pause)));
  }

  /** Tavus made a conversation: whatever it refused before, it does not now. */
  async accepted(): Promise<void> {
    await redisCall(() => this.#redis.del(this.#keys.fleet.provider));
  }

  state(): Promise<ProviderState> {
    return providerState(this.#redis, this.#keys);
  }

  #all(): readonly string[] {
    const { ledger, slots, provider } = this.#keys.fleet;
    return [ledger, slots, provider];
  }
}

/** How much is taken and what Tavus refuses: for who only looks. */
export async function providerState(redis: RedisConnection, keys: Keys): Promise<ProviderState> {
  const { ledger, slots, provider } = keys.fleet;
  const [[until, word], open, [seconds, micros], members] = await redisCall(() =>
    Promise.all([
      redis.hmget(provider, 'until', 'why'),
      redis.hlen(ledger),
      redis.time(),
      redis.zrange(slots, '0', '-1', 'WITHSCORES'),
    ]),
  );
  const nowMs = Number(seconds) * 1_000 + Number(micros) / 1_000;
  const reserved = members.filter((text, at) => at % 2 === 1 && Number(text) > nowMs).length;
  const why = refusals.find((each) => each === word);
  if (why === undefined) return { open, reserved };
  return { open, reserved, refusal: { why, forMs: Math.max(0, Math.round(Number(until) - nowMs)) } };
}
