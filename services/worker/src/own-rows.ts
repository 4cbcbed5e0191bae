import type { Clock, Timer } from '@tavus-fleet/lifecycle';
import type { OwnRow } from '@tavus-fleet/redis';

const EVERY_MS = 5_000;

export interface OwnRowsPort {
  /** Writes those anew that are gone; answers how many were. */
  keep(rows: readonly OwnRow[]): Promise<number>;
  /** Whether this worker holds the conversation's lease, as far as Redis has said. */
  holds(conversationId: string): boolean;
  /** Whether Redis has said so lately: a process that stood still believes for a moment that it holds what it has lost. */
  isFresh(conversationId: string): boolean;
}

/**
 * The ledger rows of this worker's sessions, said again every few seconds: what Redis forgets (a failover, a restart without a
 * file) would otherwise look to the reaper like a conversation that nobody explains. Only while the lease is held: what was
 * lost or left is not ours to vouch for.
 */
export class OwnRows {
  readonly #port: OwnRowsPort;
  readonly #clock: Clock;
  readonly #log: { warn(fields: object, message: string): void };
  readonly #rows = new Map<string, OwnRow>();
  #timer: Timer | undefined;
  #keeping: Promise<void> | undefined;

  constructor(port: OwnRowsPort, clock: Clock, log: { warn(fields: object, message: string): void }) {
    this.#port = port;
    this.#clock = clock;
    this.#log = log;
  }

  /** It is in the ledger, by this worker's hand. A later call with its id replaces the first. */
  has(row: OwnRow): void {
    this.#rows.set(row.name, row);
    this.#timer ??= this.#clock.every(EVERY_MS, () => void this.keep());
  }

  /** It is about to be closed. Resolves when nothing under way can write it again. */
  async drop(name: string): Promise<void> {
    this.#rows.delete(name);
    await this.#keeping;
    if (this.#rows.size === 0) this.close();
  }

  /** Says all rows again; never rejects. */
  keep(): Promise<void> {
    this.#keeping ??= this.#keep().finally(() => {
      this.#keeping = undefined;
    });
    return this.#keeping;
  }

  /** May be called twice. */
  close(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  async #keep(): Promise<void> {
    for (const row of this.#rows.values()) if (!this.#port.holds(row.conversationId)) this.#rows.delete(row.name);
    try {
      const sure = [...this.#rows.values()].filter((row) => this.#port.isFresh(row.conversationId));
      const written = await this.#port.keep(sure);
      if (written > 0) this.#log.warn({ written }, 'ledger rows were gone and are written again: Redis has lost data');
    } catch {
      // Redis is silent; its connection says so, and the next round is soon.
    }
  }
}
