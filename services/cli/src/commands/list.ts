import { asFleetError, isFinal, viewOf, type ConversationRecord, type ConversationState } from '@tavus-fleet/contracts';
import type { Fleet } from '../fleet.ts';
import { say, span, table, type Output } from '../output.ts';

export type ListOptions = { readonly all?: boolean; readonly state?: ConversationState; readonly limit: number };

/** Conversations, newest first: those that are not over, or all that have a record. */
export async function list(fleet: Fleet, options: ListOptions, output: Output): Promise<void> {
  const wantsOver = options.all || (options.state !== undefined && isFinal(options.state));
  const ids = wantsOver ? await fleet.allIds() : await fleet.openIds();
  const found = await Promise.all(ids.map((id) => recordOf(fleet, id)));
  const records = found
    .filter((record) => record !== undefined)
    .filter(({ state }) => (options.state === undefined ? wantsOver || !isFinal(state) : state === options.state))
    .toSorted((a, b) => b.createdAt - a.createdAt)
    .slice(0, options.limit);
  say(output, { conversations: records.map((record) => viewOf(record)) }, () =>
    records.length === 0
      ? 'no conversations\n'
      : table(
          ['conversation', 'state', 'asked', 'epoch', 'worker', 'age', 'key', 'end reason'],
          records.map((record) => [
            record.conversationId,
            record.state,
            record.desired,
            record.epoch,
            record.owner,
            span(Date.now() - record.createdAt),
            record.createdBy,
            record.endReason,
          ]),
        ),
  );
}

/** One record that cannot be read must not hide the others. */
async function recordOf(fleet: Fleet, id: string): Promise<ConversationRecord | undefined> {
  try {
    return await fleet.records.get(id);
  } catch (thrown) {
    const error = asFleetError(thrown);
    if (error.code === 'redis-unavailable') throw error;
    return undefined;
  }
}
