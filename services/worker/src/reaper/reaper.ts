import type { Clock, Timer } from '@tavus-fleet/lifecycle';
import type { Audit } from '@tavus-fleet/redis';
import { verdicts, type Look, type Verdict } from './verdicts.ts';

/** What the reaper needs of Redis and Tavus. All times are by Redis' clock. */
export interface ReaperPort {
  /** Whether this worker may make the pass of this round. `soon`: one out of turn. */
  turn(soon: boolean): Promise<boolean>;
  /** For how long this Redis has been known without having lost its data, and its clock. */
  known(): Promise<{ readonly forMs: number; readonly nowMs: number }>;
  /** Active conversations of this fleet; rejects when Tavus does not list them all. */
  active(): Promise<NonNullable<Look['active']>>;
  rows(): Promise<Look['rows']>;
  conversations(ids: readonly string[]): Promise<Look['conversations']>;
  /** Since when each has been suspected; forgets those not named. */
  suspect(ids: readonly string[], nowMs: number): Promise<readonly number[]>;
  /** Resolves when Tavus confirmed that it is over. */
  end(tavusConversationId: string, epoch: number): Promise<void>;
  /** Frees the provider slot. */
  close(name: string): Promise<void>;
  note(row: Extract<Verdict, { kind: 'note' }>['row']): Promise<void>;
  saveAudit(audit: Audit): Promise<void>;
}

export type ReaperOptions = {
  readonly clock: Clock;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
  /** Time between two looks after which a suspicion counts. */
  readonly confirmMs?: number;
  /** After Redis lost data, owners have this long to register what they have. */
  readonly settleMs?: number;
  /** How often a worker asks for the turn; how often there is one is the port's. */
  readonly askEveryMs?: number;
};

const CONFIRM_MS = 30_000;
const SETTLE_MS = 60_000;
const ASK_EVERY_MS = 5_000;
/** Ends in one pass: a list that has gone mad must not become a flood of requests. The rest has the next pass. */
const MAX_ENDS = 100;
const AT_ONCE = 4;

/**
 * Ends what costs money for nobody: compares Tavus' list of active conversations with ledger and records, every half minute,
 * one worker at a time. Two at once do no harm: ending twice is ending once. It touches only names of its own fleet.
 */
export class Reaper {
  readonly #port: ReaperPort;
  readonly #options: Required<ReaperOptions>;
  #timer: Timer | undefined;
  #again: Timer | undefined;
  #passing: Promise<void> | undefined;
  #closed = false;

  constructor(port: ReaperPort, options: ReaperOptions) {
    this.#port = port;
    this.#options = { confirmMs: CONFIRM_MS, settleMs: SETTLE_MS, askEveryMs: ASK_EVERY_MS, ...options };
  }

  start(): void {
    if (this.#closed) return;
    this.#timer ??= this.#options.clock.every(this.#options.askEveryMs, () => void this.pass());
    this.soon();
  }

  /** A pass out of turn: something has happened that may have left a bill running. */
  soon(): void {
    if (!this.#closed) void this.pass(true);
  }

  /** One pass, if it is this worker's turn; one that is under way is not overtaken. Never rejects. */
  pass(soon = false): Promise<void> {
    this.#passing ??= this.#pass(soon)
      .catch((error: unknown) =>
        this.#options.log.warn({ err: error }, 'a reaper pass failed; there is another one soon'),
      )
      .finally(() => {
        this.#passing = undefined;
      });
    return this.#passing;
  }

  /** Waits for the pass under way. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#again?.[Symbol.dispose]();
    await this.#passing;
  }

  async #pass(soon: boolean): Promise<void> {
    const port = this.#port;
    if (!(await port.turn(soon))) return;
    const { forMs, nowMs } = await port.known();
    const active = await this.#active();
    const rows = await port.rows();
    const ids = new Set([
      ...rows.map((row) => row.conversationId),
      ...(active ?? []).map((one) => one.parsed.conversationId),
    ]);
    const all = verdicts({ active, rows, conversations: await port.conversations([...ids]), nowMs });
    if (!active) {
      await this.#act(all.filter((verdict) => verdict.kind === 'end' && verdict.sure));
      return;
    }
    const ended = await this.#act(await this.#confirmed(all, { nowMs, settled: forMs >= this.#options.settleMs }));
    const unended = all.filter((verdict) => verdict.kind === 'end').length - ended;
    await port.saveAudit({ at: nowMs, active: active.length, rows: rows.length, unended });
  }

  /** Without Tavus' list only what is sure is done. */
  async #active(): Promise<Look['active']> {
    try {
      return await this.#port.active();
    } catch (error) {
      this.#options.log.warn({ err: error }, 'Tavus did not list the active conversations');
      return undefined;
    }
  }

  /** Those that may be acted on now; arranges for a second look at the others as soon as it counts. */
  async #confirmed(
    all: readonly Verdict[],
    { nowMs, settled }: { nowMs: number; settled: boolean },
  ): Promise<readonly Verdict[]> {
    const { confirmMs } = this.#options;
    const unsure = all.flatMap((verdict) => (verdict.kind === 'note' || verdict.sure ? [] : [verdict]));
    // Named also while there are none: what was suspected and is explained now must start anew if it comes back.
    const since = await this.#port.suspect(unsure.map(suspectOf), nowMs);
    const seenFor = new Map<Verdict, number>(unsure.map((verdict, at) => [verdict, nowMs - (since[at] ?? nowMs)]));
    const waits = [...seenFor.values()].filter((ms) => ms < confirmMs).map((ms) => confirmMs - ms);
    if (waits.length > 0) this.#lookAgainIn(Math.min(...waits));
    return all.filter((verdict) => {
      const ms = seenFor.get(verdict);
      return ms === undefined || (settled && ms >= confirmMs);
    });
  }

  /** Carries out what it can and answers how many conversations were ended. */
  async #act(list: readonly Verdict[]): Promise<number> {
    const { log } = this.#options;
    const ends = list.filter((verdict) => verdict.kind === 'end');
    const todo = [...list.filter((verdict) => verdict.kind !== 'end'), ...ends.slice(0, MAX_ENDS)];
    let ended = 0;
    const work = async (): Promise<void> => {
      for (let verdict = todo.shift(); verdict; verdict = todo.shift()) {
        try {
          if (await this.#carryOut(verdict)) ended += 1;
        } catch (error) {
          // The row stays and keeps its slot: what may still run may still cost.
          const { conversationId } = verdict.kind === 'note' ? verdict.row : verdict;
          log.error(
            { err: error, conversationId },
            'a Tavus conversation or its row could not be settled; tried again',
          );
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return ended;
  }

  /** True when a conversation was ended. */
  async #carryOut(verdict: Verdict): Promise<boolean> {
    if (verdict.kind === 'note') {
      await this.#port.note(verdict.row);
      return false;
    }
    if (verdict.kind === 'end') await this.#port.end(verdict.tavusConversationId, verdict.epoch);
    await this.#port.close(verdict.name);
    const { kind, conversationId, why } = verdict;
    const what = kind === 'end' ? 'reaper ended a Tavus conversation' : 'reaper closed a row of the ledger';
    this.#options.log.info({ conversationId, why }, what);
    return kind === 'end';
  }

  #lookAgainIn(ms: number): void {
    this.#again?.[Symbol.dispose]();
    // One millisecond more: the two looks are compared in whole ones.
    this.#again = this.#closed ? undefined : this.#options.clock.after(ms + 1, () => this.soon());
  }
}

const suspectOf = (verdict: Exclude<Verdict, { kind: 'note' }>): string => `${verdict.kind} ${verdict.name}`;
