/* oxlint-disable vitest/valid-expect -- made before the clock passes, awaited after it */
import { FleetError } from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { expect, test } from 'vitest';
import { LedgeredConversations, type Created, type SessionLedger, type SessionTavus } from './conversations.ts';

const created = (id: string): Created => ({ conversationId: id, conversationUrl: `https://tavus.daily.co/${id}` });

function setup(options: {
  answers: (Created | FleetError | 'unknown')[];
  active?: (Created | undefined)[];
  slots?: ('ok' | 'full')[];
  ends?: (FleetError | 'ok')[];
  onCreate?: () => void;
}) {
  const calls: string[] = [];
  const clock = new FakeClock();
  const next = <T>(list: T[] | undefined, otherwise: T): T => list?.shift() ?? otherwise;
  const tavus: SessionTavus = {
    create: async (name) => {
      calls.push(`create ${name}`);
      options.onCreate?.();
      const answer = next(options.answers, created('c-none'));
      if (answer instanceof FleetError) throw answer;
      return answer;
    },
    findActive: async (name) => {
      calls.push(`find ${name}`);
      return next(options.active, undefined);
    },
    end: async (id) => {
      calls.push(`end ${id}`);
      const answer = next(options.ends, 'ok' as const);
      if (answer !== 'ok') throw answer;
    },
    look: async () => ({ active: false }),
    active: async () => new Map(),
    personaName: async () => 'persona',
  };
  const ledger: SessionLedger = {
    intend: async (attempt) => {
      const outcome = next(options.slots, 'ok' as const);
      calls.push(`intend n${attempt} ${outcome}`);
      return { outcome, name: `n${attempt}` };
    },
    adopted: async (name, id) => void calls.push(`adopted ${name} ${id}`),
    rows: async () => [],
    closed: async (name) => void calls.push(`closed ${name}`),
  };
  const waiting: string[] = [];
  const failed: string[] = [];
  const conversations = new LedgeredConversations(tavus, ledger, clock, {
    waiting: (why) => waiting.push(why),
    failed: ({ code }) => failed.push(code),
    unbooked: () => calls.push('unbooked'),
  });
  return { conversations, calls, clock, waiting, failed };
}

const never = new AbortController().signal;

test('the intent is written before create, the id after, and the row is closed when Tavus ended it', async () => {
  const { conversations, calls } = setup({ answers: [created('c1')] });
  expect(await conversations.create(never)).toEqual(created('c1'));
  await conversations.end('c1', never);
  expect(calls).toEqual(['intend n1 ok', 'create n1', 'adopted n1 c1', 'end c1', 'closed n1']);
});

test.each(['lease-lost', 'tavus-auth'] as const)(
  'an /end that is not ours any more (%s) is tried once',
  async (code) => {
    const { conversations, calls } = setup({ answers: [created('c1')], ends: [new FleetError(code, 'x')] });
    await conversations.create(never);
    await expect(conversations.end('c1', never)).rejects.toMatchObject({ code });
    expect(calls.filter((call) => call.startsWith('end') || call.startsWith('closed'))).toEqual(['end c1']);
  },
);

test('a create without an answer that succeeded is found by its unique name and adopted', async () => {
  const { conversations, calls, clock } = setup({ answers: ['unknown'], active: [undefined, created('c7')] });
  const creating = conversations.create(never);
  await clock.pass(500);
  expect((await creating).conversationId).toBe('c7');
  expect(calls).toEqual(['intend n1 ok', 'create n1', 'find n1', 'find n1', 'adopted n1 c7']);
});

test('capacity at Tavus is waited for without using up tries; nothing is created meanwhile', async () => {
  const full = (): FleetError => new FleetError('tavus-capacity', 'User has reached maximum concurrent conversations');
  const { conversations, calls, clock, waiting } = setup({ answers: [full(), full(), full(), full(), created('c1')] });
  const creating = conversations.create(never);
  await clock.pass(10_000);
  expect((await creating).conversationId).toBe('c1');
  expect(waiting).toEqual(['tavus-full']);
  expect(calls.filter((call) => call.startsWith('closed'))).toHaveLength(4);
});

test('waiting for a slot of our own ends with the signal and leaves no row', async () => {
  const { conversations, calls, clock, waiting } = setup({
    answers: [],
    slots: Array.from({ length: 50 }, () => 'full' as const),
  });
  const stop = new AbortController();
  const creating = conversations.create(stop.signal);
  const outcome = expect(creating).rejects.toThrow('asked to stop');
  await clock.pass(1_000);
  stop.abort(new Error('asked to stop'));
  await outcome;
  expect(waiting).toEqual(['fleet-full']);
  expect(calls.every((call) => call.endsWith('full'))).toBe(true);
});

test.each([
  { code: 'tavus-auth', tries: 1 },
  { code: 'tavus-credits', tries: 1 },
  { code: 'tavus-invalid-request', tries: 1 },
  { code: 'tavus-unavailable', tries: 3 },
] as const)(
  '$code is tried $tries times, each with a name of its own, and leaves no open row',
  async ({ code, tries }) => {
    const { conversations, calls, clock, failed } = setup({
      answers: Array.from({ length: 9 }, () => new FleetError(code, 'refused')),
    });
    const outcome = expect(conversations.create(never)).rejects.toMatchObject({ code });
    await clock.pass(10_000);
    await outcome;
    expect(calls.filter((call) => call.startsWith('create'))).toEqual(
      Array.from({ length: tries }, (_, at) => `create n${at + 1}`),
    );
    expect(calls.filter((call) => call.startsWith('closed'))).toHaveLength(tries);
    expect(failed).toEqual(Array.from({ length: tries - 1 }, () => code)); // the last one is the conversation's end
  },
);

test('a create under way when the conversation is ended is not told as failed', async () => {
  const stop = new AbortController();
  const answers = [new FleetError('shutting-down', 'It is ending.')];
  const { conversations, failed } = setup({ answers, onCreate: () => stop.abort(answers[0]) });
  await expect(conversations.create(stop.signal)).rejects.toMatchObject({ code: 'shutting-down' });
  expect(failed).toEqual([]);
});

test('end is retried until Tavus says that it is over', async () => {
  const down = (): FleetError => new FleetError('tavus-unavailable', 'down');
  const { conversations, calls, clock } = setup({ answers: [created('c1')], ends: [down(), down()] });
  await conversations.create(never);
  const ending = conversations.end('c1', never);
  await clock.pass(5_000);
  await ending;
  expect(calls.filter((call) => call === 'end c1')).toHaveLength(3);
  expect(calls.at(-1)).toBe('closed n1');
});
