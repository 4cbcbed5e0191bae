import { FleetError } from './errors.ts';
import { ConversationRecord } from './record.ts';

const jsonFields = new Set(['spec', 'settings', 'counters', 'metrics']);
const numberFields = new Set([
  'epoch',
  'createdAt',
  'startedAt',
  'liveAt',
  'endedAt',
  'positionMs',
  'positionAt',
  'replacements',
]);

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
