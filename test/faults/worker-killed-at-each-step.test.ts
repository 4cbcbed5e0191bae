// A worker dies (SIGKILL, between two lines of the product's own code) at every step of a conversation's life, from the claim to the end
// at Tavus. Others go on with it, or finish what was begun; nothing is lost, nothing is made twice unseen, nothing goes on costing.
// The judges are Tavus' bill and call list, and Redis. Rooms need no browser here; live/worker-killed has real ones.
import { redisFixture } from '@tavus-fleet/testkit';
import { expect, it } from 'vitest';
import { figures } from '../e2e/fixtures/judge.ts';
import { eventually } from '../e2e/fixtures/users.ts';
import { report, today } from './fixtures/report.ts';
import { steps, type Step } from './fixtures/steps.ts';
import { StruckWorld } from './fixtures/struck-world.ts';

const fixture = redisFixture({ allow: /./ }); // conversations run here: what they leave is the other tests' business
const perStep = process.env['FULL'] ? 20 : 3;
/** Nobody owned it yet: its record waits 5 s for a job, which is somebody else's rule. */
const NEVER_OWNED_MS = 15_000;
const RECOVERED_MS = process.env['CI'] ? 10_000 : 5_000;
/** A create that nobody knows of is proven absent this long after its intent. */
const ABSENT_MS = 40_000;
const over: Partial<Record<Step, string>> = {
  stopping: 'stopped',
  ending: 'stopped',
  ended: 'stopped',
  canceling: 'canceled',
};

it(`${perStep} kills at each of ${steps.length} steps: nothing lost, nothing leaked, one owner`, async () => {
  await using world = await StruckWorld.start(fixture.url, fixture.connect(), fixture.keyPrefix);
  const plan = Array.from({ length: perStep }, () => steps).flat();
  await world.strike(plan, 'SIGKILL');
  const took = await world.recovered(60_000);
  const all = [...took].filter(([step]) => step !== 'claimed').flatMap(([, each]) => each);
  const p95 = all.toSorted((a, b) => a - b)[Math.floor(all.length * 0.95)] ?? Number.NaN;
  const maxima = Object.fromEntries([...took].map(([step, each]) => [step, Math.round(Math.max(...each))]));
  figures('killed at each step', { perStep, p95Ms: Math.round(p95), maxMs: maxima });

  // Rows of creates that never reached Tavus: closed by those who took over.
  const unknown = async (): Promise<boolean> =>
    (await world.fleet.ledger.open()).every((row) => row.tavusConversationId !== undefined);
  const provenMs = await eventually('every row has an id', unknown, ABSENT_MS);
  const reasons = await world.end(20_000);
  for (const { id, step } of world.struck) expect([step, reasons.get(id)]).toEqual([step, over[step] ?? 'stopped']);
  const { unended, stale, made } = world.fleet.judge();
  expect(unended).toEqual([]);
  expect(stale).toEqual([]);
  expect(Math.max(...made.values())).toBeLessThanOrEqual(2);
  expect(await world.fleet.open()).toEqual([]);
  expect(Math.max(...(took.get('claimed') ?? []))).toBeLessThanOrEqual(NEVER_OWNED_MS);
  expect(p95).toBeLessThanOrEqual(RECOVERED_MS);
  report('worker-killed-at-each-step', 'A worker killed at each step', [
    `${today()}, \`FULL=1 npx vitest run --project faults test/faults/worker-killed-at-each-step.test.ts\`: SIGKILL by the worker itself`,
    `between two lines of the product's code, ${perStep} per step. Real Redis, BullMQ, Tavus' REST side of the simulator; rooms without a browser.`,
    '',
    `From the kill to live again or over: p95 ${Math.round(p95)} ms (without \`claimed\`, which nobody owned). Conversations lost: 0. Un-ended at Tavus: 0.`,
    `Calls with an old epoch: 0. Most Tavus conversations of one of ours: ${Math.max(...made.values())}. The last row of a create that never reached Tavus`,
    `was closed ${Math.round(provenMs / 1_000)} s after all others were live again.`,
    '',
    '| step | longest, ms |',
    '|---|---|',
    ...Object.entries(maxima).map(([step, ms]) => `| ${step} | ${ms} |`),
  ]);
}, 600_000);
