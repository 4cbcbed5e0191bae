import {
  ConversationState,
  FleetError,
  finalState,
  isFinal,
  MAX_EXTRA_KEYS,
  mayMove,
  readRecord,
  splitRequest,
  SettingsDelta,
  type ConversationRecord,
  type ConversationSecrets,
  type Desired,
  type EndReason,
  type Ownership,
  type SettingsChanged,
  type StartRequest,
} from '@tavus-fleet/contracts';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import { ConversationIndex, decodeCursor, encodeCursor, type IndexEntry } from './conversation-index.ts';
import type { Keys } from './keys.ts';
import { silentLog, type Log } from './log.ts';
import { WebhookOutbox } from './outbox.ts';
import { Queued } from './queued.ts';
import { newRecordFields, patchArguments, type RecordPatch } from './record-codec.ts';
import { isReplicated } from './replicated.ts';
import { conversationKeyList, wordScript } from './scripts.ts';
import { mergeSettings } from './settings.ts';

const createScript = wordScript('create', ['created', 'exists']);
const moveScript = wordScript('move', ['moved', 'refused', 'fenced']);
const patchScript = wordScript('patch', ['patched', 'fenced']);
const desireScript = wordScript('desire', ['accepted', 'final', 'already', 'over', 'absent']);
const failScript = wordScript('fail-unowned', ['ended', 'refused', 'absent']);
const swapSettingsScript = wordScript('swap-settings', ['changed', 'conflict', 'final', 'absent']);
const saveSecretsScript = wordScript('save-secrets', ['saved', 'fenced', 'final', 'absent']);

/** What is kept beside the record until the end. `conversationUrl` is the Tavus room, for the owner's successor. */
export type StoredSecrets = ConversationSecrets & { readonly conversationUrl?: string };
/** `moved` also when it was there already (a retry); `refused`: not a legal move; `fenced`: not the owner any more. */
export type MoveOutcome = 'moved' | 'refused' | 'fenced';
/**
 * `accepted`: the owner will obey · `final`: ended at once, nobody had owned it · `already`: asked before ·
 * `over`: ended without having been asked (409) · `absent`: no such conversation (404).
 */
export type DesireOutcome = 'accepted' | 'final' | 'already' | 'over' | 'absent';
export type SettingsOutcome =
  | { readonly outcome: 'changed'; readonly changed: SettingsChanged }
  | { readonly outcome: 'final' | 'absent' };
export type RecordPage = { readonly records: readonly ConversationRecord[]; readonly cursor?: string };

const SETTINGS_TRIES = 8;
const MAX_PAGE = 100;
/** How many records one `list` call reads at most to find those of a rare state; the caller goes on with the cursor. */
const MAX_SCANNED = 500;
const timeFields: Partial<Record<ConversationState, string>> = { starting: 'startedAt', live: 'liveAt' };

/**
 * The truth about conversations: one hash each. Whoever writes as owner shows epoch and nonce, and Redis compares both in
 * the same step; a stale owner's write does nothing. Every method rejects with `FleetError('redis-unavailable')` when
 * Redis is down, and with `internal` when what is stored is malformed.
 */
export class Records {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;
  readonly #log: Log;
  readonly #index: ConversationIndex;
  readonly #outbox: WebhookOutbox;
  readonly #queued: Queued;
  readonly #waitForReplica: boolean;

  /**
   * `waitForReplica`: a new conversation counts once a replica has it, where there is one, so that a failover right after its 202 does not
   * forget it. For Sentinel and Cluster.
   */
  constructor(
    redis: RedisConnection,
    keys: Keys,
    log: Log = silentLog,
    options: { readonly waitForReplica?: boolean } = {},
  ) {
    this.#waitForReplica = options.waitForReplica ?? false;
    this.#redis = redis;
    this.#keys = keys;
    this.#log = log;
    this.#index = new ConversationIndex(redis, keys);
    this.#outbox = new WebhookOutbox(redis, keys, log);
    this.#queued = new Queued(redis, keys);
  }

  /** Makes the record (state queued), its secrets and first event. `exists` if the id was ever used, with the record that has it. */
  async create(input: {
    request: StartRequest;
    createdBy: string;
    conversationId: string;
    traceparent?: string | undefined;
  }): Promise<{ outcome: 'created' | 'exists'; record: ConversationRecord }> {
    const { request, createdBy, conversationId, traceparent } = input;
    const { spec, secrets } = splitRequest(request);
    const fields = newRecordFields({ conversationId, createdBy, spec, traceparent });
    await this.#queued.add(conversationId); // first, see Queued
    const outcome = await this.#outbox.around(conversationId, () =>
      redisCall(() =>
        createScript.run(this.#redis, this.#all(conversationId), fields.length, ...fields, ...pairs(secrets)),
      ),
    );
    const record = await this.get(conversationId);
    if (!record)
      throw new FleetError('internal', `The record of conversation ${conversationId} vanished while it was made.`);
    // Also for one that exists: a retry repairs an index that an earlier try did not get to write.
    await redisCall(() => this.#index.add(record.createdBy, { id: conversationId, createdAt: record.createdAt }));
    if (record.state !== 'queued') await this.#queued.remove(conversationId);
    if (this.#waitForReplica && !(await isReplicated(this.#redis, this.#keys.conversation(conversationId).record))) {
      if (outcome === 'created') await this.failUnowned(conversationId, 'start-failed'); // its caller hears that nothing will start
      throw new FleetError('redis-unavailable', 'No replica took the new conversation in time.');
    }
    return { outcome, record };
  }

  async get(id: string): Promise<ConversationRecord | undefined> {
    return readRecord(id, await redisCall(() => this.#redis.hgetall(this.#keys.conversation(id).record)));
  }

  /** What must never be returned or logged. Empty after the end. */
  async secrets(id: string): Promise<StoredSecrets> {
    const { userRoomUrl, userRoomToken, conversationUrl } = await redisCall(() =>
      this.#redis.hgetall(this.#keys.conversation(id).secrets),
    );
    return {
      ...(userRoomUrl === undefined ? {} : { userRoomUrl }),
      ...(userRoomToken === undefined ? {} : { userRoomToken }),
      ...(conversationUrl === undefined ? {} : { conversationUrl }),
    };
  }

  /** The owner keeps a secret (the Tavus room's URL) for its successor. */
  async saveSecrets(owner: Ownership, secrets: StoredSecrets): Promise<'saved' | 'fenced' | 'final' | 'absent'> {
    return this.#saveSecrets(owner.conversationId, owner.epoch, owner.nonce, secrets);
  }

  /** The backend gives a fresh token for its room, for later joins. */
  async refreshUserRoomToken(id: string, userRoomToken: string): Promise<'saved' | 'final' | 'absent'> {
    const outcome = await this.#saveSecrets(id, '', '', { userRoomToken });
    if (outcome === 'fenced') throw new FleetError('internal', 'An unfenced write was fenced.');
    return outcome;
  }

  /** Moves to another state with its `state` (and `ended`) event; a final state needs its `endReason`. */
  async move(
    owner: Ownership,
    to: ConversationState,
    options: { endReason?: EndReason; fields?: RecordPatch } = {},
  ): Promise<MoveOutcome> {
    const { endReason, fields = {} } = options;
    if (isFinal(to) !== (endReason !== undefined) || (endReason !== undefined && finalState(endReason) !== to)) {
      throw new FleetError('internal', `State ${to} does not go with end reason ${endReason ?? 'none'}.`);
    }
    const from = ConversationState.options.filter((state) => mayMove(state, to));
    const args = [
      owner.epoch,
      owner.nonce,
      to,
      `,${from.join(',')},`,
      endReason ?? '',
      timeFields[to] ?? '',
      ...patchArguments(fields),
    ];
    const outcome = await this.#outbox.around(owner.conversationId, () =>
      redisCall(() => moveScript.run(this.#redis, this.#all(owner.conversationId), ...args)),
    );
    if (outcome === 'moved' && mayMove('queued', to)) await this.#queued.remove(owner.conversationId);
    return outcome;
  }

  /** The owner's last move: state by the reason, secrets deleted, streams kept 1 h, the record 7 days. */
  async end(owner: Ownership, endReason: EndReason, fields: RecordPatch = {}): Promise<MoveOutcome> {
    return this.move(owner, finalState(endReason), { endReason, fields });
  }

  /** The owner saves what it knows. With a position also trims the frames before it and renews the streams' TTL (1 h). */
  async patch(owner: Ownership, fields: RecordPatch): Promise<'patched' | 'fenced'> {
    const args = [owner.epoch, owner.nonce, fields.position ?? '', ...patchArguments(fields)];
    return redisCall(() => patchScript.run(this.#redis, this.#all(owner.conversationId), ...args));
  }

  /** Asks for stop or cancel on behalf of the backend. Asking again is asking once; cancel beats stop. */
  async desire(id: string, verb: Desired, reason = ''): Promise<DesireOutcome> {
    const endReason = verb === 'stop' ? 'stopped' : 'canceled';
    const entry = verb === 'stop' ? 'end' : 'cancel';
    const outcome = await this.#outbox.around(id, () =>
      redisCall(() =>
        desireScript.run(this.#redis, this.#all(id), verb, finalState(endReason), endReason, entry, reason),
      ),
    );
    if (outcome === 'final') await this.#queued.remove(id);
    return outcome;
  }

  /** Ends a queued conversation that nobody holds, for example when its start timeout has passed. */
  async failUnowned(id: string, endReason: EndReason): Promise<'ended' | 'refused' | 'absent'> {
    const outcome = await this.#outbox.around(id, () =>
      redisCall(() => failScript.run(this.#redis, this.#all(id), finalState(endReason), endReason)),
    );
    if (outcome === 'ended') await this.#queued.remove(id);
    return outcome;
  }

  /** Merges a delta into the settings and tells the owner by a `settings-update` entry. */
  async updateSettings(id: string, delta: SettingsDelta): Promise<SettingsOutcome> {
    const keys = this.#keys.conversation(id);
    for (let attempt = 0; attempt < SETTINGS_TRIES; attempt += 1) {
      const text = await redisCall(() => this.#redis.hget(keys.record, 'settings'));
      const { settings, changed } = mergeSettings(readSettings(id, text), delta);
      if (Object.keys(settings.extra ?? {}).length > MAX_EXTRA_KEYS)
        throw new FleetError('invalid-request', `must hold at most ${MAX_EXTRA_KEYS} keys in all, over every update`, {
          field: 'extra',
        });
      const outcome = await redisCall(() =>
        swapSettingsScript.run(
          this.#redis,
          [keys.record, keys.frames],
          text ?? '',
          JSON.stringify(settings),
          JSON.stringify(delta),
        ),
      );
      if (outcome === 'changed') return { outcome, changed };
      if (outcome !== 'conflict') return { outcome };
    }
    throw new FleetError('internal', `Settings of conversation ${id} are being changed by too many at once.`);
  }

  /**
   * Conversations that any of these made, newest first, at most 100 a page. A page may be short, even empty, and still have a
   * cursor: then go on. Throws `invalid-request` (field `cursor`) for a cursor that is not ours.
   */
  async list(query: {
    createdBy: string | readonly string[];
    state?: ConversationState;
    cursor?: string;
    limit: number;
  }): Promise<RecordPage> {
    const { state, cursor } = query;
    const createdBy = typeof query.createdBy === 'string' ? [query.createdBy] : query.createdBy;
    const limit = Math.min(Math.max(1, query.limit), MAX_PAGE);
    let after = cursor === undefined ? undefined : decodeCursor(cursor);
    if (cursor !== undefined && !after)
      throw new FleetError('invalid-request', 'The cursor is not one that a list gave.', { field: 'cursor' });
    const records: ConversationRecord[] = [];
    for (let scanned = 0; scanned < MAX_SCANNED;) {
      const page = await redisCall(() => this.#index.page(createdBy, after, limit));
      const read = await Promise.all(page.map((entry) => this.#readListed(entry)));
      await redisCall(() =>
        this.#index.remove(
          createdBy,
          page.filter((_, i) => read[i] === 'absent').map((entry) => entry.id),
        ),
      );
      for (const [i, entry] of page.entries()) {
        const record = read[i];
        after = entry;
        if (
          typeof record !== 'object' ||
          !createdBy.includes(record.createdBy) ||
          (state !== undefined && record.state !== state)
        )
          continue;
        records.push(record);
        if (records.length === limit) return { records, cursor: encodeCursor(entry) };
      }
      if (page.length < limit) return { records };
      scanned += page.length;
    }
    return after ? { records, cursor: encodeCursor(after) } : { records };
  }

  async #readListed(entry: IndexEntry): Promise<ConversationRecord | 'absent' | 'malformed'> {
    try {
      return (await this.get(entry.id)) ?? 'absent';
    } catch (error) {
      if (!(error instanceof FleetError) || error.code !== 'internal') throw error;
      this.#log.warn({ conversationId: entry.id, field: error.field }, 'malformed record left out of a list');
      return 'malformed';
    }
  }

  async #saveSecrets(
    id: string,
    epoch: number | '',
    nonce: string,
    secrets: StoredSecrets,
  ): Promise<'saved' | 'fenced' | 'final' | 'absent'> {
    const keys = this.#keys.conversation(id);
    return redisCall(() =>
      saveSecretsScript.run(this.#redis, [keys.record, keys.secrets], epoch, nonce, ...pairs(secrets)),
    );
  }

  #all(id: string): readonly string[] {
    return conversationKeyList(this.#keys.conversation(id));
  }
}

function pairs(fields: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
}

function readSettings(id: string, text: string | null): SettingsDelta {
  if (text === null || text === '') return {};
  try {
    return SettingsDelta.parse(JSON.parse(text));
  } catch {
    throw new FleetError('internal', `The stored settings of conversation ${id} are malformed.`, { field: 'settings' });
  }
}
