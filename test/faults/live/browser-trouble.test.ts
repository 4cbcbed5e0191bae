// What can become of the browsers under two conversations of one worker: a page dies, a page hangs, the browser dies, the browser
// hangs. Each is noticed in time, its sessions go on in new pages on the same worker, and whoever is not concerned hears nothing of it.
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApiEvent, Conversation } from '../../e2e/fixtures/caller.ts';
import { expectWhole, figures, judge } from '../../e2e/fixtures/judge.ts';
import { chromiumBelow, runs } from '../../e2e/fixtures/process-tree.ts';
import { RATE } from '../../e2e/fixtures/producer.ts';
import { eventually } from '../../e2e/fixtures/users.ts';
import { World } from '../../e2e/fixtures/world.ts';

const rounds = process.env['FULL'] ? 10 : 1;
/** What a machine that is shared may add to a promise. */
const STOLEN_MS = process.env['CI'] ? 4_000 : 500;
const SPEECH_MS = 9_000;

let world: World;

beforeAll(async () => {
  world = await World.start({ WORKER_MAX_SESSIONS: '2', WORKER_SESSIONS_PER_BROWSER: '2' });
});

afterAll(() => world?.[Symbol.asyncDispose]());

type Party = { readonly conversation: Conversation; readonly sent: Int16Array };

async function meet(seed: number): Promise<Party> {
  const conversation = await world.caller.start({ output: { streams: {} } });
  await conversation.untilState('live');
  return { conversation, sent: chirpWalk({ rate: RATE, ms: SPEECH_MS, seed }) };
}

const noticed = ({ type, data }: ApiEvent): boolean =>
  type === 'error' && /^(page-crashed|page-silent|browser-failed)$/.test(String(data['code']));

const troubles = [
  { what: 'a page dies', process: 'renderer', signal: 'SIGKILL', hit: 1, codes: ['page-crashed'], withinMs: 2_000 },
  { what: 'a page hangs', process: 'renderer', signal: 'SIGSTOP', hit: 1, codes: ['page-silent'], withinMs: 5_000 },
  {
    what: 'the browser dies',
    process: 'browser',
    signal: 'SIGKILL',
    hit: 2,
    codes: ['browser-failed'],
    withinMs: 2_000,
  },
  {
    what: 'the browser hangs',
    process: 'browser',
    signal: 'SIGSTOP',
    hit: 2,
    codes: ['browser-failed'],
    withinMs: 5_000,
  },
] as const;
const cases = Array.from({ length: rounds }, (_, round) => troubles.map((trouble) => ({ ...trouble, round }))).flat();

it.each(cases)('$what: noticed, gone on with, and no neighbour concerned ($round)', async (trouble) => {
  const [worker] = world.stack.workers;
  if (!worker) throw new Error('There is no worker.');
  const parties = [await meet(1), await meet(2)];
  const speaking = parties.map(({ conversation, sent }) => world.producer.say(conversation.id, sent, 'live'));
  for (const { conversation } of parties)
    await conversation.until('speech', ({ type }) => type === 'bot-started-speaking');
  // The biggest of its kind: a renderer that Chromium keeps in reserve has no session in it.
  const struck = chromiumBelow(worker.pid).find(({ type }) => type === trouble.process);
  if (!struck) throw new Error('No such process.');

  const struckAt = Date.now();
  process.kill(struck.pid, trouble.signal);
  const goneMs = eventually('it is gone', () => !runs(struck.pid), 20_000);
  await eventually(
    'all who sit in it have noticed',
    () => parties.filter(({ conversation }) => conversation.events.some(noticed)).length === trouble.hit,
    trouble.withinMs + STOLEN_MS,
  );
  const hit = parties.filter(({ conversation }) => conversation.events.some(noticed));
  const spared = parties.filter((party) => !hit.includes(party));
  const liveMs: number[] = [];
  for (const { conversation } of hit) {
    const told = conversation.events.find(noticed);
    expect(trouble.codes).toContain(told?.data['code']);
    const again = await conversation.until('the next session', ({ type }) => type === 'takeover');
    liveMs.push(again.seenAtMs - struckAt);
    expect(await conversation.view()).toMatchObject({ epoch: 2, workerId: worker.ready['workerId'] });
  }
  await Promise.all(speaking);
  for (const { conversation } of parties) await conversation.post('stop'); // it plays what was accepted
  for (const { conversation } of parties) expect(await conversation.untilEnded()).toBe('stopped');
  for (const { conversation, sent } of spared) {
    expect(await conversation.view()).toMatchObject({ epoch: 1 });
    expectWhole(judge(sent, await world.sim.heard((await conversation.view()).tavusConversationId ?? '')));
  }
  expect((await world.sim.state()).billing.unended).toEqual([]);
  figures(`browser trouble, ${trouble.what}`, {
    noticedMs: Math.max(
      ...hit.map(({ conversation }) => (conversation.events.find(noticed)?.seenAtMs ?? 0) - struckAt),
    ),
    liveMs: Math.max(...liveMs),
    goneMs: await goneMs,
  });
});
