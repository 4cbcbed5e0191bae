// The state machine under arbitrary interleavings (fixtures/ownership-play.ts), and whether that would notice a rule that is gone: the same
// with one line of the product's Lua changed at a time, on the way to Redis.
import { redisFixture } from '@tavus-fleet/testkit';
import { afterAll, describe, expect, it } from 'vitest';
import { MutantRedis, mutants } from './fixtures/ownership-mutants.ts';
import { playOwnership, type Seen } from './fixtures/ownership-play.ts';
import { report, today } from './fixtures/report.ts';

const fixture = redisFixture({ allow: /-mutant-/ }); // a play that is broken off leaves its conversation
const RUNS = process.env['FULL'] ? 10_000 : 200;
/** Enough for each of them; most are found in the first ten. */
const MUTANT_RUNS = 400;

let played: Seen | undefined;
let tookMs = 0;
const noticed = new Map<string, number>();

it(
  `${RUNS} plays: one owner, terminal is final, each is ended, never by a stale epoch`,
  { timeout: 900_000 },
  async () => {
    const fromMs = Date.now();
    const seen = await playOwnership(fixture.connect(), fixture.keyPrefix, RUNS);
    for (const times of Object.values(seen)) expect(times).toBeGreaterThan(RUNS / 50); // or all this proves little
    tookMs = Date.now() - fromMs;
    played = seen;
  },
);

describe('a rule that is gone is noticed', () => {
  it.each(Object.entries(mutants))('%s', { timeout: 120_000 }, async (name, mutant) => {
    await using redis = new MutantRedis(fixture.url, mutant);
    const failure: unknown = await playOwnership(
      redis,
      `${fixture.keyPrefix}-mutant-${noticed.size}`,
      MUTANT_RUNS,
    ).catch((error: unknown) => error);
    expect(redis.changed).toBeGreaterThan(0); // the line is there, and ran
    expect(String(failure)).toMatch(/Property failed after \d+ tests/);
    noticed.set(name, Number(/failed after (\d+) tests/.exec(String(failure))?.[1]));
  });
});

afterAll(() => {
  if (!played || noticed.size < Object.keys(mutants).length) return; // something failed: the report would be false
  report('ownership', 'One owner, under arbitrary interleavings', [
    `${today()}, \`FULL=1 npx vitest run --project faults test/faults/ownership.property.test.ts\`: ${RUNS} plays in ${Math.round(tookMs / 1_000)} s. Each: three workers, a backend`,
    "and leases that run out do up to 34 steps with one conversation, in an order that fast-check's scheduler picks; a model says what the product must",
    'answer and keep after each step. Then the next owner ends it, and every former one tries everything.',
    '',
    `- plays with a takeover: ${played.takenOver}; of whose owners all but one were stale at the end; ended by the backend alone: ${played.endedByBackend}`,
    '- more than one owner: 0; a final state left: 0; ended more or less than once: 0; done by a stale epoch: 0',
    '',
    'That it would notice: the same with one line of the Lua scripts changed.',
    '',
    '| what is changed | noticed in play |',
    '|---|---|',
    ...[...noticed].map(([name, at]) => `| ${name} | ${at} |`),
  ]);
});
