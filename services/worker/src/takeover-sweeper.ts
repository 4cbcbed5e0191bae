import { Rounds, type Clock } from '@tavus-fleet/lifecycle';

export interface TakeoverPort {
  /** How long Redis has answered this worker without a gap, ms. */
  steadyMs(): number;
  /** Conversations whose lease has run out. */
  expired(): Promise<readonly string[]>;
  /** Why no further conversation may be taken here just now. */
  whyNotOneMore(): string | undefined;
  /** Takes it, here; resolves when it is clear what became of it. The slot is accounted for before it returns its promise. */
  take(conversationId: string): Promise<unknown>;
  /** Wakes whoever has a slot, before everything else that waits. */
  enqueue(conversationId: string): Promise<unknown>;
}

/** With a lease of 3 s an owner that died is found 3.25 s later at most; one look is one read of a sorted set. */
const EVERY_MS = 250;
/** One that answered only now may have missed what the owners missed too: they must have had the time to renew (a lease, and a renewal). */
const STEADY_MS = 4_000;
/** A worker that died leaves as many as it had: those that live share them, instead of the quickest taking all. */
const MOST_AT_ONCE = 3;
/** A wake-up for the same conversation is not repeated within this: the queue may be full of them. */
const ENQUEUE_EVERY_MS = 2_000;

/**
 * Finds conversations whose owner was lost. Whoever has a free slot takes them, in any order, so that many workers seldom want the
 * same; Redis decides who gets one. Without a slot here the others are woken.
 */
export class TakeoverSweeper {
  readonly #port: TakeoverPort;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #rounds: Rounds;
  readonly #enqueuedAt = new Map<string, number>();

  constructor(port: TakeoverPort, clock: Clock, onError: (error: unknown) => void, random: () => number = Math.random) {
    this.#port = port;
    this.#clock = clock;
    this.#onError = onError;
    this.#rounds = new Rounds(() => this.#sweep(), { everyMs: EVERY_MS, clock, onError });
    this.#random = random;
  }

  start(): void {
    this.#rounds.start();
  }

  /** One look; one that is still under way is not overtaken. Never rejects. */
  sweep(): Promise<void> {
    return this.#rounds.now();
  }

  /** What was taken is the sessions' business. */
  close(): Promise<void> {
    return this.#rounds.close();
  }

  async #sweep(): Promise<void> {
    if (this.#port.steadyMs() < STEADY_MS) return;
    const expired = [...(await this.#port.expired())];
    if (expired.length === 0) return this.#enqueuedAt.clear();
    // The look itself may have been what came back after a gap.
    if (this.#port.steadyMs() < STEADY_MS) return;
    for (let taken = 0; taken < MOST_AT_ONCE && expired.length > 0 && !this.#port.whyNotOneMore(); taken += 1) {
      const [id] = expired.splice(Math.floor(this.#random() * expired.length), 1);
      if (id !== undefined) this.#port.take(id).catch(this.#onError);
    }
    if (this.#port.whyNotOneMore()) await this.#wakeOthers(expired);
  }

  async #wakeOthers(ids: readonly string[]): Promise<void> {
    const now = this.#clock.now();
    for (const id of ids) {
      if (now - (this.#enqueuedAt.get(id) ?? Number.NEGATIVE_INFINITY) < ENQUEUE_EVERY_MS) continue;
      this.#enqueuedAt.set(id, now);
      await this.#port.enqueue(id);
    }
  }
}
