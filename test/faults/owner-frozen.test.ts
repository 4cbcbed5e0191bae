// A worker stands still for half a minute (SIGSTOP, between two lines of the product's own code) while it owns a conversation, and then
// goes on (SIGCONT) as if nothing had happened. Others have taken over. What it does then must reach nobody: the judges are Tavus' list of
// calls with their epochs, the conversation's record and events, and the ledger.
import { redisFixture } from '@tavus-fleet/testkit';
import { afterAll, expect, it } from 'vitest';
import { figures } from '../e2e/fixtures/judge.ts';
import { report, today } from './fixtures/report.ts';
import { steps, type Step } from './fixtures/steps.ts';
import { StruckWorld } from './fixtures/struck-world.ts';

const fixture = redisFixture({ allow: /./ }); // conversations run here: what they leave is the other tests' business
/** Every step but the first, where nothing is owned yet, and the last two, where nobody is left to do anything. */
const owning = steps.filter((step) => step !== 'claimed');
const rounds = process.env['FULL'] ? 4 : 1;
const FROZEN_MS = process.env['FULL'] ? 30_000 : 8_000;
/** Its lease and its timers are long due when it wakes. */
const WAKE_MS = 10_000;

let owners = 0;

afterAll(() => {
  if (owners < rounds * owning.length) return; // a round failed: the claims below would be false
  report('owner-frozen', 'A frozen owner that wakes', [
    `${today()}, \`FULL=1 npx vitest run --project faults test/faults/owner-frozen.test.ts\`: SIGSTOP by the worker itself between two lines of the`,
    `product's code, at ${owning.length} steps, SIGCONT ${FROZEN_MS / 1_000} s later or more. Real Redis, BullMQ, Tavus' REST side of the simulator; rooms without a browser.`,
    '',
    `Owners frozen: ${owners}. Taken over meanwhile: all. Ended as lost by their own account: all. Calls to Tavus with an old epoch: 0. Events and`,
    'writes to records with an old epoch: 0. Ledger rows written or closed by them: 0. Un-ended at Tavus: 0.',
  ]);
});

it.each(Array.from({ length: rounds }, (_, round) => round))(
  'frozen at each step: woken, it does nothing any more (%i)',
  async () => {
    await using world = await StruckWorld.start(fixture.url, fixture.connect(), fixture.keyPrefix);
    const { fleet } = world;
    await world.strike(owning, 'SIGSTOP');
    await world.recovered(60_000);
    const stoodStill = Math.min(...world.struck.map(({ struckAt }) => Date.now() - struckAt));
    await world.pass(Math.max(0, FROZEN_MS - stoodStill));

    const before = await Promise.all(world.struck.map(async ({ id }) => (await fleet.records.get(id))?.epoch));
    const thawedAt = Date.now();
    for (const one of world.struck) one.thaw();
    const how = await Promise.all(world.struck.map((one) => one.settled(WAKE_MS)));
    figures('frozen owners', { owners: how.length, how: [...new Set(how)] });
    expect(new Set(how)).toEqual(new Set(['lost']));

    // Redis: the record is its new owner's, and nobody said anything with an old epoch.
    for (const [n, { id, step }] of world.struck.entries()) {
      const record = await fleet.records.get(id);
      expect([step, record?.epoch]).toEqual([step, before[n]]);
      const late = (await world.events(id)).filter(({ at, epoch }) => at >= thawedAt && epoch < (before[n] ?? 0));
      expect([step, late]).toEqual([step, []]);
    }
    // Tavus: no call with an epoch older than one that came before it.
    expect(fleet.judge().stale).toEqual([]);
    const reasons = await world.end(20_000);
    const asked: Partial<Record<Step, string>> = { canceling: 'canceled' };
    for (const { id, step } of world.struck) expect([step, reasons.get(id)]).toEqual([step, asked[step] ?? 'stopped']);
    expect(fleet.judge().unended).toEqual([]);
    expect(fleet.judge().stale).toEqual([]);
    owners += how.length;
  },
  200_000,
);
