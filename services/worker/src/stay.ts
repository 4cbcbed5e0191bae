import {
  asFleetError,
  type ConversationRecord,
  type Desired,
  type EndReason,
  type Ownership,
} from '@tavus-fleet/contracts';
import { Latch, retry, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import type { Owned } from '@tavus-fleet/redis';
import type { Ending } from './session/ending.ts';
import type { Session } from './session/session.ts';
import { isCrash, type Again } from './session/succession.ts';
import { UNTIL_REDIS } from './until-redis.ts';

/** How long the mark of a stop may take to come through the stream before the end is put at its tail. */
const MARK_MS = 2_000;

/** A lease in the keeper's care. */
export interface Hold {
  release(): Promise<void>;
  /** It is another one's now: not renewed any more, not given back. */
  forget(): void;
}

/** What Redis says of a lease that is held. `tavusShutdown`: Tavus has called back that the call is over. */
export type LeaseTold = { lost(): void; desired(verb: Desired): void; tavusShutdown(reason: string): void };

export type MakeSession = (record: ConversationRecord, owned: Owned, again?: Again) => Session;

/** What a stay needs of the fleet. */
export interface StayPort {
  /** The record as it is now. */
  record(conversationId: string): Promise<ConversationRecord>;
  /** The owner begins anew with the next epoch; `crashed` counts the old session as brought down. */
  recover(owner: Ownership, crashed: boolean): Promise<Required<Owned> | { refused: 'fenced' | 'final' }>;
  /** Keeps the lease renewed until released; tells what Redis says of it. `confirmedAt`: our clock before Redis was asked for it. */
  hold(ownership: Ownership, told: LeaseTold, confirmedAt: number): Hold;
  session: MakeSession;
}

export type StayLog = {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

/**
 * A conversation on this worker: its session, and the next one when that cannot go on and the conversation can. Each has its own
 * epoch, so whatever is left of the old one is fenced like any stale owner; between them nobody else can own it.
 */
export class Stay {
  readonly conversationId: string;
  readonly #port: StayPort;
  readonly #clock: Clock;
  readonly #log: StayLog;
  readonly #started = new Latch<'live' | Ending>();
  readonly #done: Promise<void>;
  #session: Session;
  #draining: EndReason | undefined;
  #hurrying: EndReason | undefined;

  /** Begins at once. `confirmedAt`: our clock before Redis was asked for the lease. */
  constructor(
    parts: { port: StayPort; clock: Clock; log: StayLog },
    record: ConversationRecord,
    owned: Owned,
    confirmedAt: number,
  ) {
    this.conversationId = record.conversationId;
    this.#port = parts.port;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#session = this.#port.session(record, owned);
    this.#done = this.#run(confirmedAt).catch((error: unknown) => {
      this.#log.error({ conversationId: this.conversationId, code: asFleetError(error).code }, 'a stay broke off');
      this.#started.set({ how: 'abandon', reason: 'lease-lost' });
    });
  }

  get session(): Session {
    return this.#session;
  }

  /** Resolves when it is live, or when it is clear that it will not be here. */
  get started(): Promise<'live' | Ending> {
    return this.#started.promise;
  }

  /** Everything was given back. Never rejects. */
  get done(): Promise<void> {
    return this.#done;
  }

  drain(reason: EndReason): void {
    this.#draining = reason;
    this.#session.drain(reason);
  }

  hurry(reason: EndReason): void {
    this.#hurrying = reason;
    this.#session.hurry(reason);
  }

  async #run(confirmedAt: number): Promise<void> {
    let heldSince = confirmedAt;
    for (;;) {
      const session = this.#session;
      const { ending, lease } = await this.#runOne(session, heldSince);
      if (ending.how !== 'again') {
        this.#started.set(ending);
        return this.#release(lease);
      }
      lease.forget();
      heldSince = this.#clock.now();
      const next = await this.#next(session.ownership, ending.again);
      if (!next) return void this.#started.set({ how: 'abandon', reason: 'lease-lost' });
      this.#session = next;
    }
  }

  async #runOne(session: Session, confirmedAt: number): Promise<{ ending: Ending; lease: Hold }> {
    let mark: Timer | undefined;
    const lease = this.#port.hold(
      session.ownership,
      {
        lost: () => session.lost(),
        tavusShutdown: (reason) => session.shutdown.told(reason),
        desired: (verb) => {
          if (verb === 'cancel') session.asked('cancel');
          else mark ??= this.#clock.after(MARK_MS, () => session.asked('stop'));
        },
      },
      confirmedAt,
    );
    const running = session.run();
    if (this.#draining) session.drain(this.#draining);
    if (this.#hurrying) session.hurry(this.#hurrying);
    void this.#tellLive(session);
    const ending = await running;
    mark?.[Symbol.dispose]();
    return { ending, lease };
  }

  async #tellLive(session: Session): Promise<void> {
    if ((await session.started) === 'live') this.#started.set('live');
  }

  /** The next session of the conversation here; undefined when it is somebody else's, or over. */
  async #next(owner: Ownership, again: Again): Promise<Session | undefined> {
    const until = { clock: this.#clock };
    try {
      const owned = await retry(UNTIL_REDIS, until, () => this.#port.recover(owner, isCrash(again)));
      if ('refused' in owned) return undefined;
      const record = await retry(UNTIL_REDIS, until, () => this.#port.record(this.conversationId));
      return this.#port.session(record, owned, again);
    } catch (error) {
      // The lease runs out by itself, and another worker takes it over.
      this.#log.error(
        { conversationId: this.conversationId, code: asFleetError(error).code },
        'a conversation could not be begun anew here',
      );
      return undefined;
    }
  }

  async #release(lease: Hold): Promise<void> {
    try {
      await lease.release();
    } catch (error) {
      this.#log.error(
        { conversationId: this.conversationId, code: asFleetError(error).code },
        'a lease was not released; it runs out by itself',
      );
    }
  }
}
