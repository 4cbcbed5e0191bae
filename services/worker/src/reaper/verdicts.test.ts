import { ConversationState, isFinal } from '@tavus-fleet/contracts';
import { tavusName, type LedgerRow, type Whereabouts } from '@tavus-fleet/redis';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CREATE_DEADLINE_MS, verdicts, type ActiveConversation, type Look } from './verdicts.ts';

const NOW = 1_800_000_000_000;

function row(more: Partial<LedgerRow> = {}): LedgerRow {
  const own = { conversationId: 'c1', epoch: 1, attempt: 1, workerId: 'w1', ...more };
  return { ...own, name: tavusName({ base: '', fleetId: 'f', ...own }), intendedAt: NOW - 1_000, ...more };
}

function active(
  id: string,
  more: { conversationId?: string; epoch?: number; attempt?: number } = {},
): ActiveConversation {
  const parsed = { base: '', fleetId: 'f', conversationId: 'c1', epoch: 1, attempt: 1, ...more };
  return { id, name: tavusName(parsed), parsed };
}

const where = (more: Partial<Whereabouts> = {}): Whereabouts => ({ state: 'live', epoch: 1, leased: true, ...more });

function look(of: { rows?: LedgerRow[]; active?: ActiveConversation[] | undefined; c1?: Whereabouts }): Look {
  return {
    active: 'active' in of ? of.active : [],
    rows: of.rows ?? [],
    conversations: new Map(of.c1 ? [['c1', of.c1]] : []),
    nowMs: NOW,
  };
}

const old = NOW - CREATE_DEADLINE_MS;
const t1 = { tavusConversationId: 't1' };
const live = where(t1);

describe('a row', () => {
  it.each<{ when: string; of: Parameters<typeof look>[0]; does: object[] }>([
    {
      when: 'is being created',
      of: { rows: [row()], c1: where({ state: 'starting' }) },
      does: [],
    },
    {
      when: 'never came to be',
      of: { rows: [row({ intendedAt: old })], c1: where({ state: 'starting' }) },
      does: [{ kind: 'close', sure: false, why: 'never-made' }],
    },
    {
      when: 'has not been looked for, because Tavus does not list',
      of: { rows: [row({ intendedAt: old })], active: undefined, c1: where({ state: 'starting' }) },
      does: [],
    },
    {
      when: 'came to be without an answer',
      of: { rows: [row()], active: [active('t1')], c1: where({ state: 'starting' }) },
      does: [{ kind: 'note', row: { conversationId: 'c1', ...t1 } }],
    },
    {
      when: 'came to be without an answer, and the conversation is over',
      of: { rows: [row()], active: [active('t1')], c1: where({ state: 'canceled' }) },
      does: [{ kind: 'end', ...t1, sure: true, why: 'over' }],
    },
    { when: 'is what the conversation runs on', of: { rows: [row(t1)], c1: live }, does: [] },
    {
      when: 'lost its owner: whoever takes over needs it',
      of: { rows: [row(t1)], c1: where({ ...t1, leased: false }) },
      does: [],
    },
    {
      when: 'has an id that the record does not know yet',
      of: { rows: [row(t1)], c1: where({ state: 'starting' }) },
      does: [],
    },
    {
      when: 'was replaced by another',
      of: { rows: [row(t1)], c1: where({ epoch: 3, tavusConversationId: 't2' }) },
      does: [{ kind: 'end', ...t1, sure: false, why: 'superseded', epoch: 3 }],
    },
    {
      when: 'outlived its conversation, also while Tavus does not list',
      of: { rows: [row(t1)], active: undefined, c1: where({ state: 'ended', epoch: 2, leased: false }) },
      does: [{ kind: 'end', ...t1, sure: true, why: 'over', epoch: 2 }],
    },
    { when: 'has lost its record', of: { rows: [row(t1)] }, does: [{ kind: 'end', sure: false, why: 'unknown' }] },
    { when: 'has a record that cannot be read', of: { rows: [row(t1)], c1: where({ state: 'unreadable' }) }, does: [] },
  ])('that $when', ({ of, does }) => {
    expect(verdicts(look(of))).toMatchObject(does); // arrays of equal length only
  });
});

describe('an active conversation without a row', () => {
  it.each<{ when: string; c1?: Whereabouts; does: object[] }>([
    { when: 'whose record names it is written down again', c1: live, does: [{ kind: 'note' }] },
    { when: 'whose owner has just made it is left alone', c1: where({ state: 'starting' }), does: [] },
    {
      when: 'made by an owner before this one',
      c1: where({ state: 'starting', epoch: 2 }),
      does: [{ kind: 'end', why: 'unexplained', sure: false, epoch: 2 }],
    },
    {
      when: 'beside the one that the record names',
      c1: where({ tavusConversationId: 't2' }),
      does: [{ kind: 'end', why: 'unexplained', sure: false }],
    },
    { when: 'whose conversation is over', c1: where({ state: 'failed' }), does: [{ kind: 'end', sure: false }] },
    { when: 'that nobody knows', does: [{ kind: 'end', why: 'unknown', sure: false }] },
    { when: 'with an unreadable record', c1: where({ state: 'unreadable' }), does: [] },
  ])('$when', ({ c1, does }) => {
    const found = verdicts(look({ active: [active('t1')], ...(c1 ? { c1 } : {}) }));
    expect(found).toMatchObject(does);
  });
});

it('never ends what a conversation that goes on names, and is never sure about one that is not over', () => {
  const ids = fc.constantFrom('t1', 't2');
  const maybeId = fc.option(ids, { nil: undefined });
  const place = fc.record({
    state: fc.constantFrom(...ConversationState.options, 'absent', 'unreadable'),
    epoch: fc.nat(3),
    leased: fc.boolean(),
    tavusConversationId: maybeId,
  });
  const numbers = fc.record({ epoch: fc.integer({ min: 1, max: 3 }), attempt: fc.integer({ min: 1, max: 2 }) });
  const world = fc.record({
    place,
    rows: fc.uniqueArray(fc.record({ numbers, id: maybeId, ageMs: fc.nat(2 * CREATE_DEADLINE_MS) }), {
      selector: ({ numbers: { epoch, attempt } }) => `${epoch}.${attempt}`,
    }),
    active: fc.option(fc.uniqueArray(fc.record({ numbers, id: ids }), { selector: ({ id }) => id })),
  });
  fc.assert(
    fc.property(world, (w) => {
      const { tavusConversationId, ...rest } = w.place;
      const c1: Whereabouts = { ...rest, ...(tavusConversationId === undefined ? {} : { tavusConversationId }) };
      const found = verdicts(
        look({
          rows: w.rows.map(({ numbers: of, id, ageMs }) =>
            row({ ...of, intendedAt: NOW - ageMs, ...(id === undefined ? {} : { tavusConversationId: id }) }),
          ),
          active: w.active?.map(({ numbers: of, id }) => active(id, of)) ?? undefined,
          c1,
        }),
      );
      const over = c1.state !== 'absent' && c1.state !== 'unreadable' && isFinal(c1.state);
      const ends = found.filter((verdict) => verdict.kind === 'end');
      expect(ends.filter(({ epoch }) => epoch < c1.epoch)).toEqual([]);
      expect(ends.filter(({ sure }) => sure && !over)).toEqual([]);
      const named = over || c1.state === 'absent' ? undefined : tavusConversationId;
      expect(ends.filter((end) => named !== undefined && end.tavusConversationId === named)).toEqual([]);
      expect(c1.state === 'unreadable' ? ends : []).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});
