import { isFinal } from '@tavus-fleet/contracts';
import type { LedgerRow, TavusName, Whereabouts } from '@tavus-fleet/redis';

/** A conversation that Tavus calls active and whose name is one of this fleet's. */
export type ActiveConversation = { readonly id: string; readonly name: string; readonly parsed: TavusName };

/** One look at the world. What is read later may know of younger things, so Tavus is asked first, then the ledger, then the records. */
export type Look = {
  /** Undefined when Tavus did not say. */
  readonly active: readonly ActiveConversation[] | undefined;
  /** Rows of this fleet only. */
  readonly rows: readonly LedgerRow[];
  readonly conversations: ReadonlyMap<string, Whereabouts>;
  readonly nowMs: number;
};

/**
 * `end`: it costs money and nobody will end it. `close`: nothing of that name ever came to be. `note`: its row lacks the id, or
 * the row itself. `sure`: true whatever else happens; the others must be seen twice, some time apart, before they are acted on,
 * because lists lag and owners are between two steps.
 */
export type Verdict =
  | {
      readonly kind: 'end';
      readonly name: string;
      readonly conversationId: string;
      readonly tavusConversationId: string;
      readonly epoch: number;
      readonly sure: boolean;
      readonly why: 'over' | 'unknown' | 'superseded' | 'unexplained';
    }
  | {
      readonly kind: 'close';
      readonly name: string;
      readonly conversationId: string;
      readonly sure: false;
      readonly why: 'never-made';
    }
  | {
      readonly kind: 'note';
      readonly row: Omit<LedgerRow, 'intendedAt' | 'adoptedAt'> & { readonly tavusConversationId: string };
    };

/** A create is answered, or given up by its owner, within 15 s, and looked for after that; past this no owner is still at it. */
export const CREATE_DEADLINE_MS = 40_000;

const NOWHERE: Whereabouts = { state: 'absent', epoch: 0, leased: false };

/** What is to be done. Pure: a table of cases, tested as one. Nothing is said of names that are not this fleet's: they are not in the look. */
export function verdicts(look: Look): Verdict[] {
  const byName = new Map(look.active?.map((one) => [one.name, one]));
  const explained = new Set(look.rows.map((row) => row.name));
  const unexplained = (look.active ?? []).filter(({ name }) => !explained.has(name));
  return [
    ...look.rows.flatMap((row) => ofRow(row, byName.get(row.name), look)),
    ...unexplained.flatMap((one) => ofStranger(one, look)),
  ];
}

function ofRow(row: LedgerRow, active: ActiveConversation | undefined, look: Look): Verdict[] {
  const where = look.conversations.get(row.conversationId) ?? NOWHERE;
  if (where.state === 'unreadable') return []; // an operator must look at it; Tavus' own timeouts bound the bill
  const id = row.tavusConversationId ?? active?.id;
  if (id === undefined) {
    if (look.active === undefined || look.nowMs - row.intendedAt < CREATE_DEADLINE_MS) return [];
    return [{ kind: 'close', name: row.name, conversationId: row.conversationId, sure: false, why: 'never-made' }];
  }
  const end = (why: 'over' | 'unknown' | 'superseded', sure: boolean): Verdict => ({
    kind: 'end',
    name: row.name,
    conversationId: row.conversationId,
    tavusConversationId: id,
    epoch: Math.max(row.epoch, where.epoch),
    sure,
    why,
  });
  if (where.state === 'absent') return [end('unknown', false)];
  if (isFinal(where.state)) return [end('over', true)];
  if (row.tavusConversationId === undefined) return [{ kind: 'note', row: { ...rowOf(row), tavusConversationId: id } }];
  // Its owner, or whoever takes over, will end it. That nobody holds the lease now is the sweeper's business.
  if (where.tavusConversationId === undefined || where.tavusConversationId === id) return [];
  return [end('superseded', false)];
}

/** Active, one of our names, and without a row: data was lost, or somebody acted who should not have. */
function ofStranger({ id, name, parsed }: ActiveConversation, look: Look): Verdict[] {
  const { conversationId, epoch, attempt } = parsed;
  const where = look.conversations.get(conversationId) ?? NOWHERE;
  if (where.state === 'unreadable') return [];
  const going = where.state !== 'absent' && !isFinal(where.state);
  if (going && where.tavusConversationId === id) {
    const workerId = where.owner ?? 'reaper';
    return [{ kind: 'note', row: { conversationId, epoch, attempt, name, workerId, tavusConversationId: id } }];
  }
  // Between the answer of its create and the record: the owner is about to say that it is its own.
  if (going && where.leased && where.tavusConversationId === undefined && where.epoch === epoch) return [];
  return [
    {
      kind: 'end',
      name,
      conversationId,
      tavusConversationId: id,
      epoch: Math.max(epoch, where.epoch),
      sure: false,
      why: where.state === 'absent' ? 'unknown' : 'unexplained',
    },
  ];
}

function rowOf({ conversationId, epoch, attempt, name, workerId }: LedgerRow): Omit<LedgerRow, 'intendedAt'> {
  return { conversationId, epoch, attempt, name, workerId };
}
