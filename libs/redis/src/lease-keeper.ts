import { FleetError, type Desired, type Ownership } from '@tavus-fleet/contracts';
import { sleep, systemClock, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import type { Renewal } from './leases.ts';
import { silentLog, type Log } from './log.ts';

export const RENEW_EVERY_MS = 1000;
const ASK_AGAIN_MS = 200;

/** What a keeper needs of Leases; a port, so that a fake is four lines. */
export interface LeaseRenewals {
  /** What is not in the answer is unknown. Rejects when nothing is known of any. */
  renewAll(owners: readonly Ownership[]): Promise<ReadonlyMap<string, Renewal>>;
  release(owner: Ownership): Promise<'released' | 'fenced'>;
}

/** What the owner is told. A callback that throws harms no other lease. */
export type LeaseListener = {
  /** Once, final: Redis answered that another owner has it (`taken`) or that the record is gone (`absent`: data was lost). */
  onLost?(why: 'taken' | 'absent'): void;
  /** When stop or cancel was asked; again when cancel comes after stop. */
  onDesired?(verb: Desired): void;
  /** Once: Tavus has called back that the conversation's call is over, in its own words. */
  onTavusShutdown?(reason: string): void;
  /** At each renewal that got no answer; ms since Redis last confirmed this lease. Media goes on, nothing new is begun. */
  onUnknown?(sinceMs: number): void;
  /** Redis has confirmed the lease again after `onUnknown`. */
  onKnown?(): void;
};

/** A lease in the keeper's care. */
export interface HeldLease {
  readonly ownership: Ownership;
  /** Stops renewing and gives it back; may be called twice. Rejects when Redis is down: the lease then runs out by itself. */
  release(): Promise<void>;
  /** Stops renewing without giving it back: it was handed over, or is lost. */
  forget(): void;
}

type Entry = {
  readonly ownership: Ownership;
  readonly listener: LeaseListener;
  confirmedAt: number;
  unknown: boolean;
  desired: Desired | undefined;
  tavusShutdown: string | undefined;
};

/**
 * Renews every lease of a worker once a second in one round trip. *Lost* and *unknown* are different things: lost is
 * Redis' word, unknown is its silence, and silence takes nothing away from anybody.
 */
export class LeaseKeeper {
  readonly #leases: LeaseRenewals;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #held = new Map<string, Entry>();
  readonly #everyMs: number;
  #timer: Timer | undefined;
  #renewing: Promise<void> | undefined;
  #closed = false;

  constructor(leases: LeaseRenewals, options: { clock?: Clock; log?: Log; everyMs?: number } = {}) {
    this.#leases = leases;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#everyMs = options.everyMs ?? RENEW_EVERY_MS;
  }

  /**
   * Takes an acquired lease into care. Throws after close. A second one for the same conversation replaces the first.
   * `confirmedAt`: our clock just before Redis was asked for it.
   */
  hold(ownership: Ownership, listener: LeaseListener, confirmedAt: number = this.#clock.now()): HeldLease {
    if (this.#closed) throw new Error('The lease keeper is closed.');
    const entry: Entry = {
      ownership,
      listener,
      confirmedAt,
      unknown: false,
      desired: undefined,
      tavusShutdown: undefined,
    };
    this.#held.set(ownership.conversationId, entry);
    this.#timer ??= this.#clock.every(this.#everyMs, () => void this.renewNow());
    const forget = (): boolean => this.#drop(entry);
    return {
      ownership,
      forget: () => void forget(),
      release: async () => {
        if (forget()) await this.#leases.release(ownership);
      },
    };
  }

  get size(): number {
    return this.#held.size;
  }

  /** Whether a lease of this conversation is in its care: not lost as far as Redis has said. */
  holds(conversationId: string): boolean {
    return this.#held.has(conversationId);
  }

  /** Whether Redis has confirmed that lease (of that owner) lately; false also for one in its care of which nothing was heard. */
  isFresh(conversationId: string, withinMs: number, nonce?: string): boolean {
    const entry = this.#held.get(conversationId);
    if (!entry || (nonce !== undefined && entry.ownership.nonce !== nonce)) return false;
    return this.#clock.now() - entry.confirmedAt <= withinMs;
  }

  /**
   * Resolves when Redis has said within the last `withinMs` that this owner holds its lease; asks when that is longer ago. What
   * the outside cannot fence (a REST call) is done only behind this. Waits while Redis is silent, until the signal aborts; rejects
   * with `lease-lost` when the lease is not in our care any more. A process that was frozen finds its last confirmation old.
   */
  async confirmed(ownership: Ownership, withinMs: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const entry = this.#held.get(ownership.conversationId);
      if (entry?.ownership.nonce !== ownership.nonce)
        throw new FleetError('lease-lost', 'Another worker owns the conversation.');
      if (this.#clock.now() - entry.confirmedAt <= withinMs) return;
      await this.renewNow();
      if (entry.unknown) await sleep(this.#clock, ASK_AGAIN_MS, signal);
    }
  }

  /** Renews all now; never rejects. A renewal that still waits for its answer is not overtaken by a second one. */
  renewNow(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  /** Gives back every lease that is still held. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    const entries = [...this.#held.values()];
    for (const entry of entries) this.#drop(entry);
    await this.#renewing; // a renewal under way could take a lease again that the release below gives back
    const outcomes = await Promise.allSettled(entries.map((entry) => this.#leases.release(entry.ownership)));
    const failed = outcomes.filter((outcome) => outcome.status === 'rejected').length;
    if (failed > 0) this.#log.warn({ failed }, 'leases not given back; they run out by themselves');
  }

  async #renew(): Promise<void> {
    const entries = [...this.#held.values()];
    if (entries.length === 0) return;
    // From before we asked: the answer may have waited in our socket while this process stood still.
    const asked = this.#clock.now();
    try {
      const renewals = await this.#leases.renewAll(entries.map((entry) => entry.ownership));
      for (const entry of entries) {
        const renewal = renewals.get(entry.ownership.conversationId);
        if (renewal) this.#heard(entry, renewal, asked);
        else this.#notHeard(entry);
      }
    } catch {
      for (const entry of entries) this.#notHeard(entry);
    }
  }

  /** The connection's owner logs the outage; here silence is told to the lease's owner. */
  #notHeard(entry: Entry): void {
    if (!this.#isHeld(entry)) return;
    entry.unknown = true;
    this.#tell(entry, () => entry.listener.onUnknown?.(this.#clock.now() - entry.confirmedAt));
  }

  #heard(entry: Entry, renewal: Renewal, asked: number): void {
    if (!this.#isHeld(entry)) return;
    if (renewal.status !== 'held') {
      this.#drop(entry);
      this.#tell(entry, () => entry.listener.onLost?.(renewal.status === 'lost' ? 'taken' : 'absent'));
      return;
    }
    entry.confirmedAt = asked;
    if (entry.unknown) {
      entry.unknown = false;
      this.#tell(entry, () => entry.listener.onKnown?.());
    }
    const { desired, tavusShutdown } = renewal;
    if (desired !== undefined && desired !== entry.desired) {
      entry.desired = desired;
      this.#tell(entry, () => entry.listener.onDesired?.(desired));
    }
    if (tavusShutdown !== entry.tavusShutdown) {
      entry.tavusShutdown = tavusShutdown; // gone again once another call is the conversation's: its own end may have the same reason
      if (tavusShutdown !== undefined) this.#tell(entry, () => entry.listener.onTavusShutdown?.(tavusShutdown));
    }
  }

  #tell(entry: Entry, call: () => void): void {
    try {
      call();
    } catch (error) {
      const text = error instanceof Error ? error.message : 'not an Error';
      this.#log.warn({ conversationId: entry.ownership.conversationId, error: text }, 'a lease listener threw');
    }
  }

  #isHeld(entry: Entry): boolean {
    return this.#held.get(entry.ownership.conversationId) === entry;
  }

  #drop(entry: Entry): boolean {
    if (!this.#isHeld(entry)) return false;
    this.#held.delete(entry.ownership.conversationId);
    if (this.#held.size === 0) {
      this.#timer?.[Symbol.dispose]();
      this.#timer = undefined;
    }
    return true;
  }
}
