import { asFleetError, FleetError } from '@tavus-fleet/contracts';
import { retry, sleep, type Clock } from '@tavus-fleet/lifecycle';
import type { ConversationApi } from '@tavus-fleet/video-service';

export type Created = { conversationId: string; conversationUrl: string; meetingToken?: string };

/** What of Tavus' REST API a session needs; every call carries the owner's epoch. */
export interface SessionTavus {
  /**
   * Never aborted from our side: a create that is cut off may have succeeded, and is billed; its own deadline bounds it.
   * `unknown`: no (readable) answer came, so Tavus may have made it or not.
   */
  create(conversationName: string): Promise<Created | 'unknown'>;
  findActive(conversationName: string): Promise<Created | undefined>;
  end(tavusConversationId: string, signal: AbortSignal): Promise<void>;
  personaName(signal: AbortSignal): Promise<string>;
}

/** What of the ledger a session needs. `intend` takes the provider slot, `closed` gives it back. */
export interface SessionLedger {
  intend(attempt: number): Promise<{ outcome: 'ok' | 'full'; name: string }>;
  adopted(name: string, tavusConversationId: string): Promise<void>;
  closed(name: string): Promise<void>;
}

const FULL_MS = 300;
const TAVUS_FULL_MS = 2_000;
const MAX_FAILURES = 3;
/** Asking for the same name again is asking once, so a silent Redis only makes us wait. */
const UNTIL_REDIS = {
  attempts: Number.POSITIVE_INFINITY,
  firstMs: 200,
  maxMs: 1_000,
  when: (error: FleetError) => error.code === 'redis-unavailable',
};
const END_RETRY = { attempts: 8, firstMs: 250, maxMs: 5_000 };

/**
 * Tavus conversations with the ledger around every call: the intent is written before create and holds the provider slot,
 * so that whatever happens in between somebody can find and end what we may be paying for.
 */
export class LedgeredConversations implements ConversationApi {
  readonly #tavus: SessionTavus;
  readonly #ledger: SessionLedger;
  readonly #clock: Clock;
  readonly #onWaiting: (why: 'fleet-full' | 'tavus-full') => void;
  readonly #onUnbooked: (error: unknown) => void;
  readonly #onFailed: (error: FleetError) => void;
  readonly #names = new Map<string, string>();

  constructor(
    tavus: SessionTavus,
    ledger: SessionLedger,
    clock: Clock,
    tell: {
      /** Once per reason: waiting for a slot is asked again all the time. */
      waiting: (why: 'fleet-full' | 'tavus-full') => void;
      /** A create failed and is tried again. */
      failed: (error: FleetError) => void;
      unbooked: (error: unknown) => void;
    },
  ) {
    this.#tavus = tavus;
    this.#ledger = ledger;
    this.#clock = clock;
    const waitsFor = new Set<string>();
    this.#onWaiting = (why) => {
      if (!waitsFor.has(why)) tell.waiting(why);
      waitsFor.add(why);
    };
    this.#onFailed = tell.failed;
    this.#onUnbooked = tell.unbooked;
  }

  async create(signal: AbortSignal): Promise<Created> {
    let failures = 0;
    for (let attempt = 1; ; attempt += 1) {
      const name = await this.#slot(attempt, signal);
      let unknown = false;
      try {
        const answer = await this.#tavus.create(name);
        unknown = answer === 'unknown';
        const created = answer === 'unknown' ? await this.#adopt(name) : answer;
        unknown = false;
        if (!created)
          throw new FleetError(
            'tavus-unavailable',
            'Tavus did not answer the create, and no conversation of that name is active.',
          );
        this.#names.set(created.conversationId, name);
        await this.#book(() => this.#ledger.adopted(name, created.conversationId));
        return created;
      } catch (thrown) {
        const error = asFleetError(thrown);
        // Nobody could say whether it exists: its row stays, so that whoever reconciles finds and ends it.
        if (!unknown) await this.#book(() => this.#ledger.closed(name));
        if (error.code === 'tavus-capacity') {
          this.#onWaiting('tavus-full');
          await sleep(this.#clock, error.retryAfterMs ?? TAVUS_FULL_MS, signal);
          continue;
        }
        failures += 1;
        if (!error.retry || failures >= MAX_FAILURES) throw error;
        this.#onFailed(error);
        await sleep(this.#clock, error.retryAfterMs ?? 250 * 2 ** failures, signal);
      }
    }
  }

  async end(tavusConversationId: string, signal: AbortSignal): Promise<void> {
    await retry({ ...END_RETRY, when: (error) => error.code !== 'tavus-auth' }, { signal, clock: this.#clock }, () =>
      this.#tavus.end(tavusConversationId, signal),
    );
    const name = this.#names.get(tavusConversationId);
    if (name !== undefined) await this.#book(() => this.#ledger.closed(name));
  }

  personaName(signal: AbortSignal): Promise<string> {
    return this.#tavus.personaName(signal);
  }

  /**
   * Ledger writes after the intent may fail without harm: the row with its unique name is there, and whoever reconciles
   * the ledger with Tavus' list settles it. Losing the created conversation over a lost write would be the harm.
   */
  async #book(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.#onUnbooked(error);
    }
  }

  /** Waits for a provider slot. Waiting is not failing: it burns no attempt and ends with the signal only. */
  async #slot(attempt: number, signal: AbortSignal): Promise<string> {
    for (;;) {
      signal.throwIfAborted();
      const { outcome, name } = await retry(UNTIL_REDIS, { signal, clock: this.#clock }, () =>
        this.#ledger.intend(attempt),
      );
      if (outcome === 'ok') return name;
      this.#onWaiting('fleet-full');
      await sleep(this.#clock, FULL_MS, signal);
    }
  }

  /** Finds what a create without an answer may have made, by its unique name; looks twice, because a list may lag. */
  async #adopt(name: string): Promise<Created | undefined> {
    const first = await this.#tavus.findActive(name);
    if (first) return first;
    await sleep(this.#clock, 500);
    return await this.#tavus.findActive(name);
  }
}
