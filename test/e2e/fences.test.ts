// A worker that is killed, frozen or told to leave in the middle of a conversation, and two that share the work: nobody is
// left speaking, nobody is doubled, nothing stays open. What the rooms hold is asked of the simulator.
import { setTimeout as pause } from 'node:timers/promises';
import { Stack, type Listeners, type ServiceProcess } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Caller } from './fixtures/caller.ts';
import { figures, lastSoundAt } from './fixtures/judge.ts';
import { runs, treeOf } from './fixtures/process-tree.ts';
import { Producer, RATE } from './fixtures/producer.ts';
import { SimulatorView } from './fixtures/simulator-view.ts';
import { eventually, joinRoom, startUsers, untilPictures } from './fixtures/users.ts';

let stack: Stack;
let sim: SimulatorView;
let users: Listeners;
let producer: Producer;
let caller: Caller;

beforeAll(async () => {
  stack = await Stack.start({ env: process.env, workers: 0 }, AbortSignal.timeout(60_000));
  sim = new SimulatorView(stack.simulator.url);
  await sim.small();
  users = await startUsers();
  producer = new Producer(stack.redisUrl);
  caller = new Caller(stack.api.url, stack.apiKey);
});

afterAll(async () => {
  producer?.close();
  await users?.[Symbol.asyncDispose]();
  for (const worker of stack?.workers ?? []) worker.kill('SIGKILL');
  await stack?.close();
});

const addWorker = (env: Record<string, string> = {}): Promise<ServiceProcess> =>
  stack.addWorker(AbortSignal.timeout(60_000), env);
const room = (name: string): object => ({ output: { room: { url: `${sim.url}/rooms/${name}` } } });
const speech = (seed: number): Int16Array => chirpWalk({ rate: RATE, ms: 12_000, seed });
const crashes = (worker: ServiceProcess): string[] =>
  worker.lines().filter((line) => /unhandled|uncaught|"level":(60|"fatal")|^\s+at /i.test(line));

describe('a worker', () => {
  it('that is killed leaves no browser behind and no bot in either room', async () => {
    const worker = await addWorker();
    const conversation = await caller.start(room('killed'));
    await conversation.untilState('live');
    expect(await sim.bots(conversation.id)).toHaveLength(2);
    const tree = treeOf(worker.pid);
    expect(tree.length).toBeGreaterThan(2);
    worker.kill('SIGKILL');
    expect(await worker.exited).toBe('SIGKILL');
    const browsersGoneMs = await eventually('the browser is gone', () => !tree.some(runs), 3_000);
    // A peer connection that ends without a goodbye lingers in a room for as long as the room's own rule says.
    const botsGoneMs = await eventually(
      'the bots are gone',
      async () => (await sim.bots(conversation.id)).length === 0,
      6_000,
    );
    figures('killed', { processes: tree.length, browsersGoneMs, botsGoneMs });
    await conversation.post('cancel'); // nobody owns it: the next worker finds that and cleans up
  });

  it('that is frozen in the middle of speech falls silent, leaves both rooms by itself, and goes on in a new session only', async () => {
    const worker = await addWorker();
    const user = await joinRoom(users, sim.url, 'frozen');
    const conversation = await caller.start(room('frozen'));
    await conversation.untilState('live');
    await untilPictures(user, 5);
    await producer.say(conversation.id, speech(71), 'burst');
    await conversation.until('speech', ({ type }) => type === 'bot-started-speaking');
    await pause(1_000); // waits: in the middle of the utterance
    const frozenMs = Date.now();
    worker.kill('SIGSTOP');
    const goneMs = await eventually(
      'both rooms are empty of it',
      async () => (await sim.bots(conversation.id)).length === 0,
      8_000,
    );
    const report = await user.report(AbortSignal.timeout(10_000));
    const silentMs = (lastSoundAt(report, frozenMs - 500, Date.now()) ?? frozenMs) - frozenMs;
    figures('frozen', { silentMs: Math.round(silentMs), goneMs });
    expect(silentMs).toBeLessThanOrEqual(2_500);
    expect(goneMs).toBeLessThanOrEqual(6_000);

    // Nobody else was there to take it over: the owner takes its own lease again, and what it left begins anew with the next epoch.
    worker.kill('SIGCONT');
    await conversation.until('the next session', ({ type, epoch }) => type === 'takeover' && epoch === 2);
    await conversation.until('speech', ({ type, epoch }) => type === 'bot-started-speaking' && epoch === 2);
    expect((await sim.bots(conversation.id)).map(({ epoch }) => epoch)).toEqual([2, 2]);
    await conversation.post('cancel');
    expect(await conversation.untilEnded()).toBe('canceled');
    expect(crashes(worker)).toEqual([]);
    expect(runs(worker.pid)).toBe(true);
    const { tavusConversationId } = await conversation.view();
    expect((await sim.state()).billing.unended).not.toContain(tavusConversationId);
    await user.leave(AbortSignal.timeout(5_000));
    expect(await worker.stop()).toBe(0);
  });

  it('that is told to leave plays what was accepted, ends its conversation in order and exits with 0', async () => {
    const worker = await addWorker();
    const conversation = await caller.start(room('drained'));
    await conversation.untilState('live');
    await producer.say(conversation.id, speech(81).subarray(0, RATE), 'burst');
    const askedMs = Date.now();
    const [how, reason] = await Promise.all([worker.stop(), conversation.untilEnded()]);
    figures('drained', { ms: Date.now() - askedMs });
    expect(how).toBe(0);
    expect(reason).toBe('drained');
    const { state, tavusConversationId, counters } = await conversation.view();
    expect(state).toBe('ended');
    expect(counters['playedMs']).toBe(1_000);
    expect((await sim.state()).conversations.find(({ id }) => id === tavusConversationId)).toMatchObject({
      status: 'ended',
      endedBy: 'end_conversation_endpoint_hit',
    });
    expect(await sim.bots(conversation.id)).toEqual([]);
    expect(crashes(worker)).toEqual([]);
  });

  it('shares the work with another: both take conversations, none is taken twice', async () => {
    const both = await Promise.all([addWorker({ WORKER_MAX_SESSIONS: '2' }), addWorker({ WORKER_MAX_SESSIONS: '2' })]);
    const conversations = await Promise.all(['a', 'b', 'c', 'd'].map((name) => caller.start(room(`shared-${name}`))));
    await Promise.all(conversations.map((conversation) => conversation.untilState('live', 40_000)));
    const owners = (await Promise.all(conversations.map((conversation) => conversation.view()))).map(
      ({ workerId }) => workerId,
    );
    expect(new Set(owners).size).toBe(2);
    for (const owner of owners) expect(owners.filter((other) => other === owner)).toHaveLength(2);
    for (const { id } of conversations) {
      const bots = await sim.bots(id);
      expect(bots.map(({ epoch }) => epoch)).toEqual([1, 1]);
      expect((await sim.state()).conversations.filter(({ name }) => name.includes(`:${id}:`))).toHaveLength(1);
    }
    await Promise.all(conversations.map((conversation) => conversation.post('stop')));
    await Promise.all(conversations.map((conversation) => conversation.untilEnded()));
    expect(await Promise.all(both.map((worker) => worker.stop()))).toEqual([0, 0]);
  });
});
