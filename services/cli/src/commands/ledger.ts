import { isFinal } from '@tavus-fleet/contracts';
import { fleetFigures, parseTavusName, whereabouts } from '@tavus-fleet/redis';
import { exitCodes } from '../exit-codes.ts';
import type { Fleet } from '../fleet.ts';
import { say, span, table, type Output } from '../output.ts';

const LIST_MS = 60_000;

/**
 * What may be costing money: the rows, how each conversation stands, the provider's slots, the reaper's last finding. With `tavus` also
 * what Tavus itself calls active under our name; then a conversation without a row, or a row for what is over, makes it exit 1.
 */
export async function ledger(fleet: Fleet, options: { readonly tavus?: boolean }, output: Output): Promise<number> {
  const [rows, figures] = await Promise.all([fleet.ledger.open(), fleetFigures(fleet.redis, fleet.keys)]);
  const where = await whereabouts(fleet.redis, fleet.keys, [...new Set(rows.map((row) => row.conversationId))]);
  const nowMs = Date.now();
  const shown = rows.map((row) => {
    const { state = 'absent', leased = false } = where.get(row.conversationId) ?? {};
    return { ...row, state, leased };
  });
  const active = options.tavus ? await activeOf(fleet) : undefined;
  const unbooked = active?.filter(({ name }) => !rows.some((row) => row.name === name));
  const overdue = shown.filter(({ state }) => state !== 'absent' && state !== 'unreadable' && isFinal(state));
  say(
    output,
    {
      rows: shown,
      provider: figures.provider,
      max: fleet.config.tavus.maxConcurrent,
      audit: figures.audit,
      active,
      unbooked,
    },
    () => {
      const { open, reserved, refusal } = figures.provider;
      const refuses = refusal ? `; Tavus refuses: ${refusal.why}, asked again in ${span(refusal.forMs)}` : '';
      const audit = figures.audit
        ? `${figures.audit.unended} unended of ${figures.audit.active} active, ${span(figures.audit.ageMs)} ago`
        : 'none within a day';
      return [
        table(
          ['conversation', 'state', 'leased', 'epoch', 'worker', 'Tavus id', 'age'],
          shown.map((row) => [
            row.conversationId,
            row.state,
            row.leased ? 'yes' : 'no',
            `${row.epoch}.${row.attempt}`,
            row.workerId,
            row.tavusConversationId,
            span(nowMs - row.intendedAt),
          ]),
        ),
        `slots ${open} open, ${reserved} reserved, of ${fleet.config.tavus.maxConcurrent}${refuses}\n`,
        `last audit: ${audit}\n`,
        ...(unbooked
          ? [`active at Tavus under our name without a row: ${unbooked.map(({ id }) => id).join(', ') || 'none'}\n`]
          : []),
      ].join('');
    },
  );
  return options.tavus && (overdue.length > 0 || (unbooked?.length ?? 0) > 0) ? exitCodes.no : exitCodes.done;
}

async function activeOf(fleet: Fleet): Promise<{ id: string; name: string }[]> {
  const { tavus, config } = fleet;
  if (!tavus || config.fleetId === undefined) throw new Error('ledger --tavus needs TAVUS_API_KEY and FLEET_ID');
  const found: { id: string; name: string }[] = [];
  const signal = AbortSignal.timeout(LIST_MS);
  for await (const { conversationId, conversationName } of tavus.allConversations({ status: 'active' }, { signal })) {
    if (parseTavusName(conversationName)?.fleetId === config.fleetId)
      found.push({ id: conversationId, name: conversationName });
  }
  return found;
}
