import { ConversationId, WorkerId } from '@tavus-fleet/contracts';
import { z } from 'zod';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import { silentLog, type Log } from './log.ts';
import { holderOf, TRY_ALONE_MS } from './provider-slots.ts';
import { textScript, wordScript } from './scripts.ts';

const intendScript = wordScript('ledger-intend', ['ok', 'full']);
const adoptScript = wordScript('ledger-adopt', ['ok']);
const keepScript = textScript('ledger-keep');

const Intent = z.object({
  conversationId: ConversationId,
  epoch: z.int().positive(),
  attempt: z.int().nonnegative(),
  /** The `conversation_name` given to Tavus, see tavus-name.ts. Unique. */
  name: z.string().min(1),
  workerId: WorkerId,
});
export type LedgerIntent = z.infer<typeof Intent>;

/** A Tavus conversation that may be costing money. Times are ms since 1970 by Redis' clock. */
const LedgerRow = Intent.extend({
  intendedAt: z.number(),
  tavusConversationId: z.string().optional(),
  adoptedAt: z.number().optional(),
});
export type LedgerRow = z.infer<typeof LedgerRow>;
/** A row as its owner knows it. */
export type OwnRow = LedgerIntent & { readonly tavusConversationId?: string };

/**
 * Every Tavus conversation of ours that is or may be open: written before the create request leaves, removed when it is known to
 * be closed. A row is a provider slot, so the count of rows is the count of slots: there is no second counter to drift.
 */
export class Ledger {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #slots: readonly string[];
  readonly #log: Log;

  constructor(redis: RedisConnection, keys: Keys, log: Log = silentLog) {
    this.#redis = redis;
    this.#key = keys.fleet.ledger;
    this.#slots = [keys.fleet.ledger, keys.fleet.slots, keys.fleet.provider];
    this.#log = log;
  }

  /**
   * Writes the intent if the worker has reserved a slot for the conversation, or there is one (no limit without `maxConcurrent`). `full`
   * also while Tavus refuses. Asking again for the same name is asking once.
   */
  async intend(intent: LedgerIntent, maxConcurrent?: number): Promise<'ok' | 'full'> {
    const row = JSON.stringify(Intent.parse(intent));
    const holder = holderOf(intent.workerId, intent.conversationId);
    return redisCall(() =>
      intendScript.run(this.#redis, this.#slots, intent.name, row, maxConcurrent ?? '', holder, TRY_ALONE_MS),
    );
  }

  /** Tavus has given it an id. Writes the row anew if data was lost. */
  async adopted(intent: LedgerIntent, tavusConversationId: string): Promise<void> {
    const row = JSON.stringify(Intent.parse(intent));
    await redisCall(() => adoptScript.run(this.#redis, [this.#key], intent.name, tavusConversationId, row));
  }

  /** The owner of these rows writes those anew that are gone: Redis may have lost data. Answers how many were. */
  async keep(rows: readonly OwnRow[]): Promise<number> {
    if (rows.length === 0) return 0;
    const args = rows.flatMap((row) => [row.name, JSON.stringify(row)]);
    return Number(await redisCall(() => keepScript.run(this.#redis, [this.#key], ...args)));
  }

  /** It is known to be closed, or never came to be. False if there was no such row. */
  async closed(name: string): Promise<boolean> {
    return (await redisCall(() => this.#redis.hdel(this.#key, name))) === 1;
  }

  /** Provider slots taken by rows. */
  async size(): Promise<number> {
    return redisCall(() => this.#redis.hlen(this.#key));
  }

  /** All rows. A malformed one is left out and logged; it keeps its slot until an operator closes it. */
  async open(): Promise<LedgerRow[]> {
    const hash = await redisCall(() => this.#redis.hgetall(this.#key));
    return Object.entries(hash).flatMap(([name, text]) => {
      const row = readRow(text);
      if (!row) this.#log.warn({ name }, 'malformed ledger row');
      return row ? [row] : [];
    });
  }
}

function readRow(text: string): LedgerRow | undefined {
  try {
    return LedgerRow.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
