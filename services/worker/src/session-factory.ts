import { FleetError, type ConversationRecord, type Ownership } from '@tavus-fleet/contracts';
import type { WorkerConfig } from '@tavus-fleet/config';
import { withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import {
  mediaOut,
  parseTavusName,
  tavusName,
  readEntries,
  redisCall,
  type EventLog,
  type Keys,
  type LeaseKeeper,
  type Ledger,
  type LedgerIntent,
  type Owned,
  type Records,
  type RedisConnection,
  type StreamSource,
} from '@tavus-fleet/redis';
import type { Room, Rooms } from '@tavus-fleet/rooms';
import {
  callbackKey,
  callbackToken,
  TavusFailure,
  type CreateConversation,
  type Permit,
  type TavusClient,
} from '@tavus-fleet/tavus';
import type { Logger, Metrics } from '@tavus-fleet/telemetry';
import type { OwnRows } from './own-rows.ts';
import type { Created, SessionLedger, SessionTavus } from './session/conversations.ts';
import type { SessionDeps, SessionFrames, SessionRecords } from './session/deps.ts';
import { Session } from './session/session.ts';
import type { Again } from './session/succession.ts';

export type FactoryDeps = {
  readonly config: WorkerConfig;
  readonly workerId: string;
  readonly records: Records;
  readonly events: EventLog;
  /** For reading frames again; the live ones come through the reader. */
  readonly redis: RedisConnection;
  /** For output streams only: megabytes that wait for a slow Redis must not stand before anything else. */
  readonly outputs: RedisConnection;
  readonly keys: Keys;
  readonly reader: StreamSource;
  readonly ledger: Ledger;
  readonly ownRows: OwnRows;
  readonly keeper: LeaseKeeper;
  readonly tavus: TavusClient;
  readonly rooms: Rooms;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Logger;
};

/** A fresh call at Tavus lives this long without anybody in it; our bot joins within seconds. */
const ABSENT_SECONDS = 120;
/** How long a call outlives its last participant: bounds the bill of a dead fleet, and gives a successor time to come. */
const LEFT_SECONDS = 30;
/** Tavus' own end comes this much after ours, so that our reason is the one that is said. */
const DURATION_MARGIN_SECONDS = 60;
const TAVUS_MAX_SECONDS = 3_600;
const FIND_MS = 10_000;
/** Shorter than a lease, so that nobody else can have it by then; longer than a renewal takes. */
export const FRESH_MS = 2_000;
const CONFIRM_MS = 5_000;
/** A create is never cut off from our side, see SessionTavus; the client's own deadline bounds it. */
const NEVER = new AbortController().signal;

/** Makes sessions: binds the fleet's parts to one conversation and its owner, so that a session cannot touch another's. */
export function makeSession(
  deps: FactoryDeps,
  record: ConversationRecord,
  owned: Owned,
  again?: Again,
  /** Another worker's that was handed over: the room was entered before. */
  prepared?: Room,
): Session {
  const { ownership, redisNowMs, predecessor } = owned;
  const { config, workerId, clock, rooms, metrics } = deps;
  const sessionDeps: SessionDeps = {
    workerId,
    record: { ...record, epoch: ownership.epoch },
    ownership,
    redisNowMs,
    succession: {
      ...(predecessor === undefined ? {} : { predecessor }),
      ...(again === undefined ? {} : { again }),
      handedOver: prepared !== undefined,
    },
    records: recordsOf(deps, ownership),
    frames: framesOf(deps, record.conversationId),
    mediaOut: mediaOut(deps.outputs, deps.keys, ownership),
    tavus: tavusOf(deps, record, ownership),
    ledger: ledgerOf(deps, record, ownership),
    rooms: prepared ? { open: async () => prepared } : rooms,
    userRoomHosts: config.userRoomHosts,
    meters: {
      ttfb: (seconds) => metrics.ttfb(seconds),
      dropped: (why, count) => metrics.framesDropped(why, count),
      started: (seconds) => metrics.sessionStarted(seconds),
      ended: (reason) => metrics.sessionEnded(reason),
      frameAge: (seconds) => metrics.frameAge(seconds),
    },
    clock,
    log: deps.log.child({ conversationId: record.conversationId, epoch: ownership.epoch, workerId }),
  };
  return new Session(sessionDeps);
}

function recordsOf({ records, events }: FactoryDeps, ownership: Ownership): SessionRecords {
  return {
    secrets: () => records.secrets(ownership.conversationId),
    async created({ conversationId, conversationUrl }, replacements) {
      await records.saveSecrets(ownership, { conversationUrl });
      return records.patch(ownership, { tavusConversationId: conversationId, replacements });
    },
    stopping: (stopReason) => records.move(ownership, 'stopping', { fields: { stopReason } }),
    moveTo: (state, fields) =>
      records.move(ownership, state, fields === undefined ? {} : { fields: { metrics: fields } }),
    checkpoint: (at) => records.patch(ownership, at),
    end: (reason, at) => records.end(ownership, reason, at),
    append: async (event) => (await events.append(ownership, event)) !== undefined,
    async leftSpeaking() {
      const said = ['bot-started-speaking', 'bot-stopped-speaking'] as const;
      const last = await events.newestOf(ownership.conversationId, said);
      return last?.type === 'bot-started-speaking' && last.epoch < ownership.epoch;
    },
  };
}

function framesOf({ reader, redis, keys }: FactoryDeps, conversationId: string): SessionFrames {
  const { frames } = keys.conversation(conversationId);
  return {
    subscribe: (fromId, onEntries) => reader.subscribe(frames, fromId, onEntries),
    async newest() {
      const [entry] = await redisCall(() => redis.xrevrange(frames, '+', '-', 'COUNT', 1));
      return entry?.[0] ?? '0-0';
    },
    async read(ids) {
      const [first, last] = [ids[0], ids.at(-1)];
      if (first === undefined || last === undefined) return [];
      return readEntries(await redisCall(() => redis.xrangeBuffer(frames, first, last)));
    },
  };
}

/** Where Tavus calls back for this conversation; a secret, for the token in it. Undefined where the api has no public address. */
function callbackUrlOf({ publicUrl, tavus, fleetId }: WorkerConfig, conversationId: string): string | undefined {
  if (publicUrl === undefined) return undefined;
  return `${publicUrl}/v1/tavus/callback/${callbackToken(callbackKey(tavus.apiKey.reveal(), fleetId), conversationId)}`;
}

/** Resolves when Redis has confirmed lately that this owner owns it; what Redis cannot refuse leaves behind this only. */
type Confirm = (signal: AbortSignal) => Promise<void>;

const confirmOf =
  ({ keeper }: FactoryDeps, ownership: Ownership): Confirm =>
  (signal) =>
    keeper.confirmed(ownership, FRESH_MS, signal);

function tavusOf(deps: FactoryDeps, record: ConversationRecord, ownership: Ownership): SessionTavus {
  const { tavus, config } = deps;
  const { epoch } = ownership;
  const permit: Permit = {
    confirm: confirmOf(deps, ownership),
    holds: () => deps.keeper.isFresh(ownership.conversationId, FRESH_MS, ownership.nonce),
  };
  const { spec, conversationId } = record;
  const isOurs = (name: string): boolean => {
    const parsed = parseTavusName(name);
    return parsed?.fleetId === config.fleetId && parsed.conversationId === conversationId;
  };
  const request = (conversationName: string): CreateConversation => ({
    replicaId: spec.replicaId,
    personaId: spec.personaId,
    conversationName,
    callbackUrl: callbackUrlOf(config, record.conversationId),
    audioOnly: spec.tavus.audioOnly,
    conversationalContext: spec.tavus.conversationalContext,
    customGreeting: spec.tavus.customGreeting,
    properties: {
      maxCallDurationSeconds: Math.min(TAVUS_MAX_SECONDS, spec.limits.maxDurationSeconds + DURATION_MARGIN_SECONDS),
      participantAbsentTimeoutSeconds: ABSENT_SECONDS,
      participantLeftTimeoutSeconds: LEFT_SECONDS,
      ...spec.tavus.properties,
    },
  });
  const created = (answer: {
    conversationId: string;
    conversationUrl: string;
    meetingToken?: string | undefined;
  }): Created => ({
    conversationId: answer.conversationId,
    conversationUrl: answer.conversationUrl,
    ...(answer.meetingToken === undefined ? {} : { meetingToken: answer.meetingToken }),
  });
  return {
    async create(name, signal) {
      try {
        // Until it leaves it may be called off; after that it is not cut.
        return created(
          await tavus.createConversation(request(name), {
            epoch,
            signal: NEVER,
            permit: { ...permit, confirm: () => permit.confirm(signal) },
          }),
        );
      } catch (error) {
        if (error instanceof TavusFailure && error.outcomeUnknown) return 'unknown';
        throw error;
      }
    },
    async findActive(name) {
      const signal = AbortSignal.timeout(FIND_MS);
      for await (const conversation of tavus.allConversations({ status: 'active' }, { epoch, signal, permit })) {
        if (conversation.conversationName === name && conversation.conversationUrl !== undefined)
          return created({
            conversationId: conversation.conversationId,
            conversationUrl: conversation.conversationUrl,
          });
      }
      return undefined;
    },
    async look(id, signal) {
      const { status, conversationUrl, shutdownReason } = await tavus.getConversation(id, {
        epoch,
        signal,
        permit,
        verbose: true,
      });
      if (status === 'active') return { active: true, ...(conversationUrl === undefined ? {} : { conversationUrl }) };
      return { active: false, ...(shutdownReason === undefined ? {} : { why: shutdownReason }) };
    },
    async active(signal) {
      const found = new Map<string, Created>();
      for await (const conversation of tavus.allConversations({ status: 'active' }, { epoch, signal, permit })) {
        const { conversationName: name, conversationUrl } = conversation;
        if (conversationUrl !== undefined && isOurs(name))
          found.set(name, created({ conversationId: conversation.conversationId, conversationUrl }));
      }
      return found;
    },
    end: (id, signal) => tavus.endConversation(id, { epoch, signal, permit }),
    personaName: async (signal) => {
      const { personaName } = await tavus.getPersona(spec.personaId, { epoch, signal, permit });
      if (personaName === undefined) throw new FleetError('tavus-bad-answer', 'Tavus names no persona.');
      return personaName;
    },
  };
}

function ledgerOf(deps: FactoryDeps, record: ConversationRecord, ownership: Ownership): SessionLedger {
  const { ledger, ownRows, config, workerId, clock } = deps;
  const { conversationId, spec } = record;
  // The ledger is the fleet's and lies beside no record, so no script can fence it.
  const fenced = async <T>(write: () => Promise<T>): Promise<T> => {
    await withDeadline(
      { ms: CONFIRM_MS, what: 'Confirming the owner', code: 'redis-unavailable', clock },
      confirmOf(deps, ownership),
    );
    return write();
  };
  const { epoch } = ownership;
  const intents = new Map<string, LedgerIntent>();
  return {
    async intend(attempt) {
      const name = tavusName({
        base: spec.tavus.conversationName ?? '',
        fleetId: config.fleetId,
        conversationId,
        epoch,
        attempt,
      });
      const intent = { conversationId, epoch, attempt, name, workerId };
      intents.set(name, intent);
      const outcome = await fenced(() => ledger.intend(intent, config.tavus.maxConcurrent));
      if (outcome === 'ok') ownRows.has(intent);
      return { outcome, name };
    },
    async adopted(name, tavusConversationId) {
      const intent = intents.get(name);
      if (!intent) return;
      await fenced(async () => {
        ownRows.has({ ...intent, tavusConversationId });
        await ledger.adopted(intent, tavusConversationId);
      });
    },
    async closed(name) {
      await fenced(async () => {
        await ownRows.drop(name);
        await ledger.closed(name);
      });
    },
    async rows() {
      const rows = (await ledger.open()).filter((row) => row.conversationId === conversationId);
      for (const { name, ...row } of rows)
        intents.set(name, { conversationId, epoch: row.epoch, attempt: row.attempt, name, workerId });
      return rows;
    },
  };
}
