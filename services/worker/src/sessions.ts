import {
  asFleetError,
  type ConversationRecord,
  type Desired,
  type EndReason,
  type Ownership,
  type StartData,
} from '@tavus-fleet/contracts';
import { withDeadline, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import type { SlotState } from '@tavus-fleet/telemetry';
import { whyNotOneMore } from './admission.ts';
import type { Claimer, StartOutcome } from './claim.ts';
import type { Shortage } from './load/brake.ts';
import type { Session } from './session/session.ts';

/** How long the mark of a stop may take to come through the stream before the end is put at its tail. */
const MARK_MS = 2_000;

/** What Redis says of a lease that is held. `tavusShutdown`: Tavus has called back that the call is over. */
export type LeaseTold = { lost(): void; desired(verb: Desired): void; tavusShutdown(reason: string): void };

/** What the table needs of the fleet. */
export interface SessionsPort {
  record(data: StartData): Promise<ConversationRecord>;
  /** `redisNowMs`: Redis' clock at that moment. */
  acquire(
    conversationId: string,
  ): Promise<{ ownership: Ownership; redisNowMs: number } | { refused: 'final' | 'held' | 'absent' }>;
  /** Keeps the lease renewed until released; tells what Redis says of it. */
  hold(ownership: Ownership, told: LeaseTold): { release(): Promise<void> };
  session(record: ConversationRecord, ownership: Ownership, redisNowMs: number): Session;
  redisUp(): boolean;
  /** What this worker is short of. */
  short(): Shortage | undefined;
}

export type SessionsOptions = {
  readonly port: SessionsPort;
  readonly capacity: number;
  readonly clock: Clock;
  readonly log: { warn(fields: object, message: string): void; error(fields: object, message: string): void };
};

type Live = { readonly session: Session; readonly done: Promise<void> };

/** The table of live sessions of this worker: who is here, is there room for one more, and how they all end. */
export class Sessions implements Claimer {
  readonly #options: SessionsOptions;
  /** Not keyed by conversation: one that was taken over and comes back may still be leaving here when its next session begins. */
  readonly #live = new Set<Live>();
  readonly #acquiring = new Set<Promise<Session | StartOutcome>>();
  #draining = false;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#live.size + this.#acquiring.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get capacity(): number {
    return this.#options.capacity;
  }

  /** Slots by what they are doing; their sum is the capacity. */
  slots(): Record<SlotState, number> {
    const count = { free: 0, starting: this.#acquiring.size, live: 0, stopping: 0, braked: 0, closed: 0 };
    for (const { session } of this.#live) count[session.state] += 1;
    const unused = this.#draining ? 'closed' : this.#options.port.short() ? 'braked' : 'free';
    count[unused] = Math.max(0, this.capacity - this.size);
    return count;
  }

  /** What is here, for an operator's eyes: no secret in it. */
  list(): { conversationId: string; epoch: number; state: string }[] {
    return [...this.#live].map(({ session }) => ({
      conversationId: session.conversationId,
      epoch: session.ownership.epoch,
      state: session.state,
    }));
  }

  find(conversationId: string): Session | undefined {
    return [...this.#live].findLast(({ session }) => session.conversationId === conversationId)?.session;
  }

  whyNotOneMore(): string | undefined {
    const { capacity, port } = this.#options;
    return whyNotOneMore({
      live: this.#live.size,
      starting: this.#acquiring.size,
      capacity,
      draining: this.#draining,
      redisUp: port.redisUp(),
      short: port.short(),
    });
  }

  async start(data: StartData): Promise<StartOutcome> {
    if (this.#draining) return { kind: 'not-now' };
    const acquiring = this.#acquire(data);
    this.#acquiring.add(acquiring); // in the turn of the call: the slot is taken from here on
    let session: Session | StartOutcome;
    try {
      session = await acquiring;
    } finally {
      this.#acquiring.delete(acquiring);
    }
    if ('kind' in session) return session;
    const outcome = await session.started;
    if (outcome === 'live') return { kind: 'live' };
    if (outcome.how === 'abandon') return { kind: 'elsewhere' };
    if (!outcome.error) return { kind: 'over' };
    return { kind: 'failed', error: outcome.error };
  }

  /** Takes no more and finishes what lives; what is not done by the deadline is ended at once. Resolves when the table is empty. */
  async drain(reason: EndReason, deadlineMs: number): Promise<void> {
    this.#draining = true;
    for (const { session } of this.#live) session.drain(reason);
    try {
      await withDeadline({ ms: deadlineMs, what: 'Draining', clock: this.#options.clock }, () => this.#empty());
    } catch {
      this.#options.log.warn({ live: this.#live.size }, 'drain deadline passed: ending what still lives');
      for (const { session } of this.#live) session.hurry(reason);
      await this.#empty();
    }
  }

  async #acquire(data: StartData): Promise<Session | StartOutcome> {
    const { port } = this.#options;
    const record = await port.record(data);
    if (this.#draining) return { kind: 'not-now' };
    const acquired = await port.acquire(record.conversationId);
    if ('refused' in acquired) return { kind: acquired.refused === 'held' ? 'elsewhere' : 'over' };
    const { ownership, redisNowMs } = acquired;
    if (this.#draining) {
      // The drain has passed us by: the next worker may have it at once.
      await port
        .hold(ownership, { lost: () => undefined, desired: () => undefined, tavusShutdown: () => undefined })
        .release();
      return { kind: 'not-now' };
    }
    return this.#run({ ...record, epoch: ownership.epoch }, ownership, redisNowMs);
  }

  #run(record: ConversationRecord, ownership: Ownership, redisNowMs: number): Session {
    const { port, clock, log } = this.#options;
    const session = port.session(record, ownership, redisNowMs);
    let mark: Timer | undefined;
    const lease = port.hold(ownership, {
      lost: () => session.lost(),
      tavusShutdown: (reason) => session.tavusShutdown(reason),
      desired: (verb) => {
        if (verb === 'cancel') session.asked('cancel');
        else mark ??= clock.after(MARK_MS, () => session.asked('stop'));
      },
    });
    const done = session
      .run()
      .then(() => lease.release())
      .catch((error: unknown) =>
        log.error(
          { conversationId: record.conversationId, code: asFleetError(error).code },
          'a lease was not released; it runs out by itself',
        ),
      )
      .finally(() => {
        mark?.[Symbol.dispose]();
        this.#live.delete(live);
      });
    const live: Live = { session, done };
    this.#live.add(live);
    return session;
  }

  async #empty(): Promise<void> {
    while (this.size > 0) await Promise.allSettled([...this.#acquiring, ...[...this.#live].map(({ done }) => done)]);
  }
}
