import { asFleetError, FleetError } from '@tavus-fleet/contracts';
import { retry, sleep, type Clock } from '@tavus-fleet/lifecycle';
import type { ConversationApi } from '@tavus-fleet/video-service';
import { UNTIL_REDIS } from '../until-redis.ts';

/** A conversation that an earlier owner made; `name`: its row in the ledger, when there is one. */
export type Inherited = Created & { readonly name?: string };
export type Created = { conversationId: string; conversationUrl: string; meetingToken?: string };

/**
 * What of Tavus' REST API a session needs. Every call carries the owner's epoch and leaves only while Redis confirms its lease: it
 * rejects with `lease-lost` when that is gone, and waits while Redis is silent.
 */
export interface SessionTavus {
  /**
   * Once it has left it is never aborted from our side: a create that is cut off may have succeeded, and is billed; its own
   * deadline bounds it. `unknown`: no (readable) answer came, so Tavus may have made it or not.
   */
  create(conversationName: string, signal: AbortSignal): Promise<Created | 'unknown'>;
  findActive(conversationName: string): Promise<Created | undefined>;
  /** How a conversation stands; its URL while it is active, why it is over when Tavus says so. */
  look(
    tavusConversationId: string,
    signal: AbortSignal,
  ): Promise<{ active: true; conversationUrl?: string } | { active: false; why?: string }>;
  /** Active conversations whose names are this conversation's, whichever owner created them; by name. */
  active(signal: AbortSignal): Promise<ReadonlyMap<string, Created>>;
  end(tavusConversationId: string, signal: AbortSignal): Promise<void>;
  personaName(signal: AbortSignal): Promise<string>;
}

/** A row of this conversation in the ledger. `intendedAt`: ms since 1970 by Redis' clock. */
export type SessionRow = {
  readonly name: string;
  readonly intendedAt: number;
  readonly tavusConversationId?: string | undefined;
};

/** What of the ledger a session needs. `intend` takes the provider slot, `closed` gives it back. */
export interface SessionLedger {
  /** Those of earlier owners included. */
  rows(): Promise<readonly SessionRow[]>;
  intend(attempt: number): Promise<{ outcome: 'ok' | 'full'; name: string }>;
  adopted(name: string, tavusConversationId: string): Promise<void>;
  closed(name: string): Promise<void>;
}

const FULL_MS = 300;
const TAVUS_FULL_MS = 2_000;
const MAX_FAILURES = 3;
/** No further try helps: the key is refused, or somebody else owns the conversation and will end it. */
const END_IS_NOT_OURS: ReadonlySet<string> = new Set(['tavus-auth', 'lease-lost']);
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
  readonly #inherited: ((signal: AbortSignal) => Promise<Inherited | undefined>) | undefined;
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
    /** What an earlier owner left, if it is to be gone on with. */
    inherited?: (signal: AbortSignal) => Promise<Inherited | undefined>,
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
    this.#inherited = inherited;
  }

  async create(signal: AbortSignal): Promise<Created> {
    const inherited = await this.#inherited?.(signal);
    if (inherited) {
      const { name, conversationId } = inherited;
      if (name !== undefined) {
        this.#names.set(conversationId, name);
        await this.#book(() => this.#ledger.adopted(name, conversationId));
      }
      return inherited;
    }
    let failures = 0;
    for (let attempt = 1; ; attempt += 1) {
      const name = await this.#slot(attempt, signal);
      let unknown = false;
      try {
        const answer = await this.#tavus.create(name, signal);
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
        // Nobody could say whether it exists: its row stays, so that whoever reconciles finds and ends it. A stale owner's is its
        // successor's, who looks at it.
        if (!unknown && error.code !== 'lease-lost') await this.#book(() => this.#ledger.closed(name));
        if (error.code === 'tavus-capacity') {
          this.#onWaiting('tavus-full');
          await sleep(this.#clock, error.retryAfterMs ?? TAVUS_FULL_MS, signal);
          continue;
        }
        if (signal.aborted) throw error; // being ended is no failure of Tavus', and nobody is told of one
        failures += 1;
        if (!error.retry || failures >= MAX_FAILURES) throw error;
        this.#onFailed(error);
        await sleep(this.#clock, error.retryAfterMs ?? 250 * 2 ** failures, signal);
      }
    }
  }

  async end(tavusConversationId: string, signal: AbortSignal): Promise<void> {
    await retry(
      { ...END_RETRY, when: (error) => !END_IS_NOT_OURS.has(error.code) },
      { signal, clock: this.#clock },
      () => this.#tavus.end(tavusConversationId, signal),
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
