import { viewOf } from '@tavus-fleet/contracts';
import { whereabouts } from '@tavus-fleet/redis';
import { exitCodes } from '../exit-codes.ts';
import type { Fleet } from '../fleet.ts';
import { say, table, type Output } from '../output.ts';

const EVENTS = 10;

/** One conversation with what lies around it. No secret and nothing that was said: of events only their type and time. */
export async function show(fleet: Fleet, id: string, output: Output): Promise<number> {
  const record = await fleet.records.get(id);
  if (!record) {
    say(output, { conversationId: id, found: false }, () => `no conversation ${id}\n`);
    return exitCodes.no;
  }
  const [where, place, rows, { events }] = await Promise.all([
    whereabouts(fleet.redis, fleet.keys, [id]),
    fleet.queued.place(id),
    fleet.ledger.open(),
    fleet.events.read(id, '0', 2_000),
  ]);
  const view = viewOf(record, place);
  const own = rows.filter((row) => row.conversationId === id);
  const last = events.slice(-EVENTS).map(({ type, at, epoch }) => ({ type, at: new Date(at).toISOString(), epoch }));
  const leased = where.get(id)?.leased === true;
  say(output, { ...view, createdBy: record.createdBy, leased, ledger: own, events: last }, () => {
    const { counters, metrics, metadata, queue, ...fields } = view;
    const pairs = Object.entries({
      ...fields,
      createdBy: record.createdBy,
      leased: leased ? 'yes' : 'no',
      ...(queue ? { queue: `position ${queue.position}, ${queue.ageMs} ms` } : {}),
      counters: JSON.stringify(counters),
      metrics: JSON.stringify(metrics),
      ...(metadata ? { metadata: JSON.stringify(metadata) } : {}),
    });
    return [
      table(
        ['field', 'value'],
        pairs.map(([name, value]) => [name, String(value)]),
      ),
      table(
        ['ledger row', 'Tavus id', 'intended'],
        own.map((row) => [row.name, row.tavusConversationId, new Date(row.intendedAt).toISOString()]),
      ),
      table(
        ['event', 'at', 'epoch'],
        last.map(({ type, at, epoch }) => [type, at, epoch]),
      ),
    ].join('\n');
  });
  return exitCodes.done;
}
