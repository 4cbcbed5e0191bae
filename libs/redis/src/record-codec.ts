import {
  ConversationRecord,
  FleetError,
  type ConversationSpec,
  type Counters,
  type RecordMetrics,
  type SettingsDelta,
} from '@tavus-fleet/contracts';

const jsonFields = new Set(['spec', 'settings', 'counters', 'metrics']);
const numberFields = new Set(['epoch', 'createdAt', 'startedAt', 'liveAt', 'endedAt']);

/** What an owner may save about its conversation. `null` forgets a field. */
export type RecordPatch = {
  readonly tavusConversationId?: string | null;
  /** Id of the last entry of the frames stream that was played. */
  readonly position?: string;
  readonly inferenceId?: string | null;
  readonly settings?: SettingsDelta;
  readonly counters?: Counters;
  readonly metrics?: RecordMetrics;
};

/** The text fields of a new record; state, epoch and times are the script's. */
export function newRecordFields(record: {
  conversationId: string;
  createdBy: string;
  spec: ConversationSpec;
}): string[] {
  const settings = record.spec.settings;
  return [
    'conversationId',
    record.conversationId,
    'createdBy',
    record.createdBy,
    'spec',
    JSON.stringify(record.spec),
    ...(settings === undefined ? [] : ['settings', JSON.stringify(settings)]),
  ];
}

/** A patch as the scripts take it: number of fields to delete, their names, then names and values. */
export function patchArguments(patch: RecordPatch): (string | number)[] {
  const deletes: string[] = [];
  const sets: string[] = [];
  for (const [name, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    if (value === null) deletes.push(name);
    else sets.push(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
  return [deletes.length, ...deletes, ...sets];
}

/**
 * Reads a record back; undefined when the hash is not there. Throws `FleetError('internal')` naming the field when
 * what is stored is not a record: the caller drops that one conversation, not its loop.
 */
export function readRecord(id: string, hash: Readonly<Record<string, string>>): ConversationRecord | undefined {
  if (Object.keys(hash).length === 0) return undefined;
  const candidate: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(hash)) {
    if (numberFields.has(name)) candidate[name] = text.trim() === '' ? Number.NaN : Number(text);
    else candidate[name] = jsonFields.has(name) ? readJson(id, name, text) : text;
  }
  const result = ConversationRecord.safeParse(candidate);
  if (!result.success) throw malformed(id, result.error.issues[0]?.path.join('.') ?? 'record');
  if (result.data.conversationId !== id) throw malformed(id, 'conversationId');
  return result.data;
}

function readJson(id: string, field: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed(id, field);
  }
}

function malformed(id: string, field: string): FleetError {
  return new FleetError('internal', `The stored record of conversation ${id} is malformed.`, { field });
}
