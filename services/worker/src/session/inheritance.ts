import { asFleetError, FleetError } from '@tavus-fleet/contracts';
import { retry, sleep, withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import { isFinalShutdown } from '@tavus-fleet/tavus';
import type { Inherited, SessionLedger, SessionRow, SessionTavus } from './conversations.ts';
import { UNTIL_REDIS } from '../until-redis.ts';

/** Tavus silent for longer than this: the room itself is asked, by joining it. */
const LOOK_MS = 2_000;
const END_MS = 5_000;
/** A list may lag behind a create. */
const LAG_MS = 500;
/** A create that nobody waits for any more may still succeed for so long: its own deadline, and some more. */
const CREATE_MS = 25_000;
const EVERY_MS = 3_000;
const ABSENT_LOOKS = 2;

export type InheritanceOptions = {
  readonly tavus: Pick<SessionTavus, 'look' | 'active' | 'end'>;
  readonly ledger: Pick<SessionLedger, 'rows' | 'closed'>;
  readonly clock: Clock;
  /** Redis' clock. */
  readonly nowMs: () => number;
  /** What the record names. */
  readonly tavusConversationId: string | undefined;
  /** The URL that was kept for us; asked when it is needed. */
  readonly conversationUrl: () => Promise<string | undefined>;
  /** Nothing is gone on with: everything is ended before another is created, which may need its slot. */
  readonly replace: boolean;
  /** The conversation that the record names is known to run: our bot sits in its room and sees the replica. Nobody is asked, nobody waits. */
  readonly present?: boolean;
};

/** `name` is absent when the ledger has no row for it. */
type Found = { readonly id: string; readonly name?: string; readonly intendedAt: number; readonly url?: string };

/**
 * What earlier owners of the conversation left at Tavus, by the ledger's rows. One of them is gone on with if it still runs; every
 * other is ended, or its row is proven to stand for nothing. An owner that died while it created may have made a conversation whose
 * id nobody knows: its unique name finds it, also when it appears late.
 */
export class Inheritance {
  readonly #options: InheritanceOptions;
  /** Rows without an id, and how often their name was not in the list when it must have been there. */
  readonly #unknown = new Map<string, { readonly row: SessionRow; absent: number }>();
  /** To be ended: id → name of its row. */
  readonly #toEnd = new Map<string, string | undefined>();
  #finding: Promise<Inherited | undefined> | undefined;
  #isHandedOn = false;

  constructor(options: InheritanceOptions) {
    this.#options = options;
  }

  /**
   * The conversation to go on with, if one still runs; asking again is asking once. Rejects with `tavus-over` when Tavus has ended
   * it by a limit of its own or at somebody's wish: a new one would fare the same.
   */
  find(signal: AbortSignal): Promise<Inherited | undefined> {
    this.#finding ??= this.#find(signal).catch((error: unknown) => {
      this.#finding = undefined;
      throw error;
    });
    return this.#finding;
  }

  /** The same, and from now on its end is the caller's business. */
  async take(signal: AbortSignal): Promise<Inherited | undefined> {
    const found = await this.find(signal);
    this.#isHandedOn = true;
    return found;
  }

  /** Settles what is left, as long as it takes or until the signal aborts. Never rejects. */
  async settleAll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(await this.#settle(signal)))
      await sleep(this.#options.clock, EVERY_MS, signal).catch(() => undefined);
  }

  /** The end of the conversation: one pass over everything. What it cannot settle stays in the ledger, for whoever reconciles it. Never rejects. */
  async endAll(signal: AbortSignal): Promise<void> {
    const found = await this.find(signal).catch(() => undefined);
    if (found && !this.#isHandedOn) this.#toEnd.set(found.conversationId, found.name);
    this.#isHandedOn = true;
    await this.#settle(signal);
  }

  async #find(signal: AbortSignal): Promise<Inherited | undefined> {
    const { ledger, clock, tavusConversationId, replace } = this.#options;
    const rows = await retry(UNTIL_REDIS, { signal, clock }, () => ledger.rows());
    for (const row of rows) if (row.tavusConversationId === undefined) this.#unknown.set(row.name, { row, absent: 0 });
    const { running, isOverForGood } = await this.#running(rows, signal);
    const usable = replace || isOverForGood ? [] : running.filter(({ url }) => url !== undefined);
    const newest = usable.toSorted((a, b) => b.intendedAt - a.intendedAt)[0];
    const heir = usable.find(({ id }) => id === tavusConversationId) ?? newest;
    for (const each of running) if (each !== heir) this.#toEnd.set(each.id, each.name);
    if (isOverForGood)
      throw new FleetError(
        'tavus-over',
        'Tavus has ended the conversation: by a limit of its own, or because it was asked to.',
      );
    if (heir?.url !== undefined) return inherited(heir.id, heir.url, heir.name);
    const named = await this.#named(!replace, signal);
    if (replace) await this.#quietly(signal, () => this.#endThose(signal));
    return named;
  }

  /** Conversations whose ids are known and that are not known to be over; rows of the others are closed. */
  async #running(
    rows: readonly SessionRow[],
    signal: AbortSignal,
  ): Promise<{ running: Found[]; isOverForGood: boolean }> {
    const { tavusConversationId: known, ledger } = this.#options;
    const candidates: Found[] = rows.flatMap(({ tavusConversationId: id, name, intendedAt }) =>
      id === undefined ? [] : [{ id, name, intendedAt }],
    );
    // The ledger may have lost its row with Redis' memory.
    if (known !== undefined && !candidates.some(({ id }) => id === known))
      candidates.push({ id: known, intendedAt: 0 });
    const looked = await Promise.all(candidates.map((each) => this.#look(each, signal)));
    const running: Found[] = [];
    let isOverForGood = false;
    for (const [i, candidate] of candidates.entries()) {
      const state = looked[i];
      if (state?.active !== false) {
        running.push({ ...candidate, ...(state?.url === undefined ? {} : { url: state.url }) });
        continue;
      }
      const { name } = candidate;
      if (name !== undefined) await this.#quietly(signal, () => ledger.closed(name));
      if (candidate.id === known && isFinalShutdown(state.why ?? '')) isOverForGood = true;
    }
    return { running, isOverForGood };
  }

  async #look(
    { id }: Found,
    signal: AbortSignal,
  ): Promise<{ active: true; url?: string | undefined } | { active: false; why?: string | undefined }> {
    const { tavus, clock, tavusConversationId, conversationUrl, present = false } = this.#options;
    const kept = id === tavusConversationId ? await conversationUrl() : undefined;
    if (present && kept !== undefined) return { active: true, url: kept };
    const state = await this.#quietly(signal, () =>
      withDeadline({ signal, ms: LOOK_MS, what: 'Looking at a conversation', clock }, (own) => tavus.look(id, own)),
    );
    if (state?.active === false) return state;
    // Not known: joining its room will tell.
    return { active: true, url: kept ?? state?.conversationUrl };
  }

  /** Looks for rows without an id in Tavus' list, twice. The first found may be gone on with, the others are to be ended. */
  async #named(mayTake: boolean, signal: AbortSignal): Promise<Inherited | undefined> {
    if (this.#unknown.size === 0) return undefined;
    const found = await this.#quietly(signal, () => this.#list(mayTake, signal));
    if (found || this.#unknown.size === 0) return found;
    await sleep(this.#options.clock, LAG_MS, signal);
    return this.#quietly(signal, () => this.#list(mayTake, signal));
  }

  async #list(mayTake: boolean, signal: AbortSignal): Promise<Inherited | undefined> {
    const { tavus, ledger, nowMs, clock } = this.#options;
    const active = await withDeadline({ signal, ms: LOOK_MS, what: 'Listing conversations', clock }, (own) =>
      tavus.active(own),
    );
    let heir: Inherited | undefined;
    for (const [name, unknown] of this.#unknown) {
      const created = active.get(name);
      if (created) {
        this.#unknown.delete(name);
        if (mayTake && !heir) heir = { ...created, name };
        else this.#toEnd.set(created.conversationId, name);
        continue;
      }
      // Only when it must have been listed does its absence say anything; and lists shift while they are read, so twice.
      if (nowMs() - unknown.row.intendedAt < CREATE_MS) continue;
      unknown.absent += 1;
      if (unknown.absent < ABSENT_LOOKS) continue;
      await ledger.closed(name);
      this.#unknown.delete(name);
    }
    return heir;
  }

  /** True when nothing is left. */
  async #settle(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#quietly(signal, () => this.#endThose(signal));
      if (this.#unknown.size > 0) await this.#quietly(signal, () => this.#list(false, signal));
      await this.#quietly(signal, () => this.#endThose(signal));
    } catch {
      return true; // it is another owner's business now, or over
    }
    return this.#toEnd.size === 0 && this.#unknown.size === 0;
  }

  async #endThose(signal: AbortSignal): Promise<void> {
    const { tavus, ledger, clock } = this.#options;
    for (const [id, name] of this.#toEnd) {
      await withDeadline({ signal, ms: END_MS, what: 'Ending a conversation', clock }, (own) => tavus.end(id, own));
      if (name !== undefined) await ledger.closed(name);
      this.#toEnd.delete(id);
    }
  }

  /** Undefined when it failed: it is tried again later. Rejects when nothing may be done any more. */
  async #quietly<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (asFleetError(error).code === 'lease-lost') throw error;
      return undefined;
    }
  }
}

function inherited(conversationId: string, conversationUrl: string, name: string | undefined): Inherited {
  return { conversationId, conversationUrl, ...(name === undefined ? {} : { name }) };
}
