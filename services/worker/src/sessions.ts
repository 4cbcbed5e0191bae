import type { ConversationRecord, EndReason, StartData } from '@tavus-fleet/contracts';
import { withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import type { Owned } from '@tavus-fleet/redis';
import type { SlotState } from '@tavus-fleet/telemetry';
import { whyNotOneMore } from './admission.ts';
import type { Claimer, StartOutcome } from './claim.ts';
import type { Shortage } from './load/brake.ts';
import type { Session } from './session/session.ts';
import { Stay, type MakeSession, type StayLog, type StayPort } from './stay.ts';

/** Of a drain's time so much is kept for finishing what no other worker took; never more than half of it. */
const FINISH_MS = 15_000;
const NOBODY = { lost: () => undefined, desired: () => undefined, tavusShutdown: () => undefined };

/** What the table needs of the fleet. */
export interface SessionsPort extends StayPort {
  /** The record of a job; made now if only the job exists. */
  recordOf(data: StartData): Promise<ConversationRecord>;
  acquire(conversationId: string): Promise<Owned | { refused: 'final' | 'held' | 'absent' }>;
  redisUp(): boolean;
  /** What this worker is short of. */
  short(): Shortage | undefined;
  /** Gives it to another worker; resolves when that has happened, or when the signal aborts and it is still here. */
  handOver(stay: Stay, signal: AbortSignal): Promise<'given' | 'kept'>;
  /** Slots kept for conversations that are about to come from another worker. */
  expected(): number;
  /** A conversation was taken over from an owner that was lost. */
  takenOver(): void;
}

export type SessionsOptions = {
  readonly port: SessionsPort;
  readonly capacity: number;
  readonly clock: Clock;
  readonly log: StayLog;
};

/** The table of live sessions of this worker: who is here, is there room for one more, and how they all end. */
export class Sessions implements Claimer {
  readonly #options: SessionsOptions;
  /** Not keyed by conversation: one that was taken over and comes back may still be leaving here when its next session begins. */
  readonly #live = new Set<Stay>();
  readonly #acquiring = new Set<Promise<Stay | StartOutcome>>();
  #draining: EndReason | undefined;
  #giving: AbortSignal = AbortSignal.abort();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#live.size + this.#acquiring.size + this.#options.port.expected();
  }

  get draining(): boolean {
    return this.#draining !== undefined;
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
      starting: this.#acquiring.size + port.expected(),
      capacity,
      draining: this.draining,
      redisUp: port.redisUp(),
      short: port.short(),
    });
  }

  /** The same for one that lost its owner: a user sits before a still picture, so load is borne; only memory that runs out would cost the others too. */
  whyNotTakeOver(): string | undefined {
    const why = this.whyNotOneMore();
    return why === 'short-of-cpu' || why === 'short-of-event-loop' ? undefined : why;
  }

  async start(data: StartData): Promise<StartOutcome> {
    if (this.#draining) return { kind: 'not-now' };
    const acquiring = this.#acquire(data);
    this.#acquiring.add(acquiring); // in the turn of the call: the slot is taken from here on
    let stay: Stay | StartOutcome;
    try {
      stay = await acquiring;
    } finally {
      this.#acquiring.delete(acquiring);
    }
    if ('kind' in stay) return stay;
    const outcome = await stay.started;
    if (outcome === 'live') return { kind: 'live' };
    if (outcome.how === 'abandon' || outcome.how === 'handed-over' || outcome.how === 'again')
      return { kind: 'elsewhere' };
    if (!outcome.error) return { kind: 'over' };
    return { kind: 'failed', error: outcome.error };
  }

  /** Another worker gave it to us: the slot was kept meanwhile. Resolves when the session has begun. */
  async inherit(id: string, owned: Promise<Owned>, confirmedAt: number, session: MakeSession): Promise<Stay> {
    const [record, own] = await Promise.all([this.#options.port.record(id), owned]);
    return this.#stay(record, own, confirmedAt, session);
  }

  /**
   * Takes no more; gives what lives to other workers, and finishes what none of them takes by `keepMs` before the deadline. What is not
   * done by the deadline is ended at once. Resolves when the table is empty.
   */
  async drain(reason: EndReason, deadlineMs: number): Promise<void> {
    this.#draining = reason;
    const giving = new AbortController();
    this.#giving = giving.signal;
    const finishAt = this.#options.clock.after(deadlineMs - Math.min(FINISH_MS, deadlineMs / 2), () => giving.abort());
    for (const stay of this.#live) void this.#give(stay, reason);
    try {
      await withDeadline({ ms: deadlineMs, what: 'Draining', clock: this.#options.clock }, () => this.#empty());
    } catch {
      this.#options.log.warn({ live: this.#live.size }, 'drain deadline passed: ending what still lives');
      for (const stay of this.#live) stay.hurry(reason);
      await this.#empty();
    } finally {
      finishAt[Symbol.dispose]();
      giving.abort();
    }
  }

  async #give(stay: Stay, reason: EndReason): Promise<void> {
    if ((await this.#options.port.handOver(stay, this.#giving)) === 'kept') stay.drain(reason);
  }

  async #acquire(data: StartData): Promise<Stay | StartOutcome> {
    const { port, clock, log } = this.#options;
    const { conversationId } = data;
    let confirmedAt = clock.now();
    let owned = await port.acquire(conversationId);
    // Nearly always there is a record: it is looked for only when Redis says that there is none.
    if ('refused' in owned && owned.refused === 'absent') {
      await port.recordOf(data);
      if (this.#draining) return { kind: 'not-now' };
      confirmedAt = clock.now();
      owned = await port.acquire(conversationId);
    }
    if ('refused' in owned) return { kind: owned.refused === 'held' ? 'elsewhere' : 'over' };
    if (this.#draining) {
      // The drain has passed us by: the next worker may have it at once.
      await port.hold(owned.ownership, NOBODY, confirmedAt).release();
      return { kind: 'not-now' };
    }
    if (owned.predecessor) {
      port.takenOver();
      const { epoch, crashes } = owned.predecessor;
      log.warn({ conversationId, fromEpoch: epoch, crashes }, 'conversation taken over');
    }
    // Only now nobody else writes it any more.
    const record = await port.record(conversationId);
    return this.#stay(record, owned, confirmedAt);
  }

  #stay(record: ConversationRecord, owned: Owned, confirmedAt: number, session?: MakeSession): Stay {
    const { port, clock, log } = this.#options;
    const parts = { port: session ? { ...port, session: withFirst(session, port.session) } : port, clock, log };
    const stay = new Stay(parts, record, owned, confirmedAt);
    this.#live.add(stay);
    if (this.#draining) void this.#give(stay, this.#draining); // the drain began while the record was read
    void stay.done.then(() => this.#live.delete(stay));
    return stay;
  }

  async #empty(): Promise<void> {
    while (this.size > 0) await Promise.allSettled([...this.#acquiring, ...[...this.#live].map(({ done }) => done)]);
  }
}

/** The first session is made by one, those that follow it here by the other. */
function withFirst(first: MakeSession, later: MakeSession): MakeSession {
  let isFirst = true;
  return (...of) => {
    const make = isFirst ? first : later;
    isFirst = false;
    return make(...of);
  };
}
