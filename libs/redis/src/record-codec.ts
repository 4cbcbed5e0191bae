import type { ConversationSpec, Counters, EndReason, RecordMetrics, SettingsDelta } from '@tavus-fleet/contracts';

/** What an owner may save about its conversation. `null` forgets a field. */
export type RecordPatch = {
  readonly tavusConversationId?: string | null;
  /** Id of the last entry of the frames stream that was played. */
  readonly position?: string;
  /** Of the sound behind it so much was played too, ms. */
  readonly positionMs?: number;
  readonly inferenceId?: string | null;
  readonly stopReason?: EndReason;
  readonly replacements?: number;
  readonly settings?: SettingsDelta;
  readonly counters?: Counters;
  readonly metrics?: RecordMetrics;
};

/** The text fields of a new record; state, epoch and times are the script's. */
export function newRecordFields(record: {
  conversationId: string;
  createdBy: string;
  spec: ConversationSpec;
  traceparent?: string | undefined;
}): string[] {
  const { traceparent } = record;
  const settings = record.spec.settings;
  return [
    'conversationId',
    record.conversationId,
    'createdBy',
    record.createdBy,
    'spec',
    JSON.stringify(record.spec),
    ...(settings === undefined ? [] : ['settings', JSON.stringify(settings)]),
    ...(traceparent === undefined ? [] : ['traceparent', traceparent]),
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
