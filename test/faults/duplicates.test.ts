// Everything is asked for many times at once, by clients of two api processes and straight in BullMQ: starts with one Idempotency-Key, with
// one id, as plain jobs; stops and cancels in any mixture and at any moment. One conversation per key, one outcome per conversation, and
// every answer fits it.
import { redisFixture } from '@tavus-fleet/testkit';
import { expect, it } from 'vitest';
import { figures } from '../e2e/fixtures/judge.ts';
import { Crowd, planOf, TIMES, type Plan } from './fixtures/crowd.ts';
import { report, today } from './fixtures/report.ts';

const fixture = redisFixture({ allow: /./ }); // conversations run here: what they leave is the other tests' business
const SOON = { timeout: 30_000, interval: 25 };
const ROUND = 20;
const rounds = process.env['FULL'] ? 50 : 2;

it(`${rounds * ROUND} conversations, each start and each end asked ${TIMES} times at once: one each, one outcome`, async () => {
  await using crowd = await Crowd.start(fixture);
  const outcomes = new Map<string, number>();
  const all: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const plans = Array.from({ length: ROUND }, (_, n) => planOf(round * ROUND + n));
    const asked = await Promise.all(
      plans.map(async (plan) => {
        const id = await crowd.startAll(plan);
        return { id, refused: await crowd.endAll(id, plan) };
      }),
    );
    const ids = asked.map(({ id }) => id);
    await expect.poll(() => crowd.fleet.allOver(ids).then(() => 'all over', String), SOON).toBe('all over');
    await expect.poll(() => crowd.fleet.open(), SOON).toEqual([]);
    for (const [n, { id, refused }] of asked.entries()) {
      const how = await crowd.judge(id, plans[n] as Plan, refused); // safe: as many as plans
      outcomes.set(how, (outcomes.get(how) ?? 0) + 1);
    }
    all.push(...ids);
  }
  expect(crowd.wrong).toEqual([]);
  // Jobs that are still in line find what is over, and leave it so.
  const waiting = async (): Promise<number> =>
    (await crowd.fleet.queues.count('sessions', 'wait')) + (await crowd.fleet.queues.count('control', 'wait'));
  await expect.poll(waiting, SOON).toBe(0);
  expect(new Set(all).size).toBe(rounds * ROUND);
  const { made, stale, unended } = crowd.fleet.judge();
  expect({ stale, unended }).toEqual({ stale: [], unended: [] });
  const most = Math.max(0, ...made.values());
  expect(most).toBeLessThanOrEqual(1);
  expect((await crowd.fleet.slots()).reserved).toBe(0);
  expect(crowd.asked).toBe(rounds * ROUND * TIMES * 2);
  figures('duplicates', { asked: crowd.asked, ...Object.fromEntries(outcomes) });
  report('duplicates', 'Everything asked for ten times', [
    `${today()}, \`FULL=1 npx vitest run --project faults test/faults/duplicates.test.ts\`: two api processes' worth of clients and plain BullMQ jobs,`,
    `three workers in one process, real Redis, BullMQ and Tavus' REST side of the simulator; rooms without a browser.`,
    '',
    `Requests: ${crowd.asked} (${crowd.asked / 2} starts, ${crowd.asked / 2} stops and cancels) for ${all.length} conversations: with one Idempotency-Key, with one`,
    'id, as plain jobs, as both; ended by stop, by cancel, by both; while waiting, starting, live.',
    '',
    `Conversations per key or id: 1. Tavus conversations per conversation: at most ${most}. \`ended\` events per conversation: 1. Un-ended at Tavus: 0.`,
    `Outcomes: ${[...outcomes].map(([reason, count]) => `${reason} ${count}`).join(', ')}. Answers other than 202, or 409 where the other verb had won or the id was used: 0.`,
  ]);
}, 900_000);
