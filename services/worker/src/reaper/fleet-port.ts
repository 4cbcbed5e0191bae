import {
  parseTavusName,
  Turns,
  whereabouts,
  type Keys,
  type Ledger,
  type LedgerRow,
  type ReaperNotes,
  type RedisConnection,
} from '@tavus-fleet/redis';
import type { TavusClient } from '@tavus-fleet/tavus';
import type { ReaperPort } from './reaper.ts';
import type { ActiveConversation } from './verdicts.ts';

const EVERY_MS = 30_000;
/** Out of turn at most so often: Tavus' list is not for polling (its limits are not published, Daily's are two a second). */
const SOON_MS = 5_000;
const LIST_MS = 60_000;
const END_MS = 60_000;

export type ReaperDeps = {
  readonly fleetId: string;
  readonly redis: RedisConnection;
  readonly keys: Keys;
  readonly ledger: Ledger;
  readonly notes: ReaperNotes;
  readonly tavus: Pick<TavusClient, 'allConversations' | 'endConversation'>;
  /** Aborts when the worker closes: a pass must not outlive its connections. */
  readonly signal: AbortSignal;
  readonly everyMs?: number | undefined;
};

/** The reaper's port on Redis and Tavus. Names of other fleets end here: nothing after this sees them. */
export function fleetReaperPort(deps: ReaperDeps): ReaperPort {
  const { fleetId, redis, keys, ledger, notes, tavus, signal, everyMs = EVERY_MS } = deps;
  const turns = new Turns(redis, keys);
  const within = (ms: number): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  return {
    turn: (soon) => (soon ? turns.take('reaper-soon', Math.min(SOON_MS, everyMs)) : turns.take('reaper', everyMs)),
    known: () => notes.known(),
    async active() {
      const found: ActiveConversation[] = [];
      for await (const { conversationId: id, conversationName: name } of tavus.allConversations(
        { status: 'active' },
        { signal: within(LIST_MS) },
      )) {
        const parsed = parseTavusName(name);
        if (parsed?.fleetId === fleetId) found.push({ id, name, parsed });
      }
      return found;
    },
    rows: async () => (await ledger.open()).filter((row) => isOurs(row, fleetId)),
    conversations: (ids) => whereabouts(redis, keys, ids),
    suspect: (ids, nowMs) => notes.suspect(ids, nowMs),
    end: (id, epoch) => tavus.endConversation(id, { epoch, signal: within(END_MS) }),
    close: async (name) => void (await ledger.closed(name)),
    note: ({ tavusConversationId, ...intent }) => ledger.adopted(intent, tavusConversationId),
    saveAudit: (audit) => notes.saveAudit(audit),
  };
}

/** A fleet that was given another FLEET_ID finds its old rows here: they are the old name's to end. */
function isOurs(row: LedgerRow, fleetId: string): boolean {
  return parseTavusName(row.name)?.fleetId === fleetId;
}
