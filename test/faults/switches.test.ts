// Every switch of the simulator that strikes Tavus' REST or a room, each against so many conversations: what is told, what follows, how often
// Tavus was asked, and that nothing is paid for afterwards. What a switch does to a running room is told at the room's port here, as the real
// adapter tells it; test/e2e/outcomes.test.ts has the same switches on real media, once each.
import { randomUUID } from 'node:crypto';
import { redisFixture } from '@tavus-fleet/testkit';
import { afterAll, describe, expect, it } from 'vitest';
import { report, today } from './fixtures/report.ts';
import { SwitchWorld } from './fixtures/switch-world.ts';
import { rows, type Row } from './fixtures/switches.ts';

const fixture = redisFixture({ allow: /./ }); // conversations run here: what they leave is the other tests' business
const times = process.env['FULL'] ? 20 : 2;
const found = new Map<string, { row: Row; creates: number }>();

afterAll(() => {
  if (found.size < Object.keys(rows).length) return; // a row failed: the table below would be false
  report('switches', 'Every switch', [
    `${today()}, \`FULL=1 npx vitest run --project faults test/faults/switches.test.ts\`: ${times} conversations for each switch. Real Redis, BullMQ, api and`,
    "worker, Tavus' REST side of the simulator; rooms without a browser, whose events are those that the real adapter gives.",
    '',
    `Un-ended at Tavus: 0 of all. Rows left in the ledger: 0. Calls with an old epoch: 0. What each told and came to is as in the table, ${times} times of ${times}.`,
    '',
    '| switch | `error` events | then | creates each |',
    '|---|---|---|---|',
    ...[...found].map(
      ([name, { row, creates }]) =>
        `| ${name} | ${row.told.join(', ') || 'none'} | ${row.outcome} | ${creates / times} |`,
    ),
  ]);
});

describe.concurrent('each switch', () => {
  it.each(Object.entries(rows))('%s', { timeout: 400_000 }, async (name, row) => {
    await using world = await SwitchWorld.start(fixture.url, `${fixture.keyPrefix}-${randomUUID().slice(0, 8)}`);
    const outcomes = await world.run(row, times);
    expect(outcomes).toEqual(Array.from({ length: times }, () => ({ told: row.told, outcome: row.outcome })));
    await world.end();
    const creates = await world.fleet.createsAsked();
    expect([name, creates]).toEqual([name, row.creates * times]);
    expect(await world.fleet.open()).toEqual([]);
    expect(world.fleet.judge().stale).toEqual([]);
    found.set(name, { row, creates });
  });
});
