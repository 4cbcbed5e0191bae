// What can go wrong at Tavus or in its room, switched on in the simulator one by one: each is told with an event, has its outcome,
// and leaves no bill. Then the limits of a request, each on real media.
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Conversation } from './fixtures/caller.ts';
import { expectWhole, judge } from './fixtures/judge.ts';
import { RATE } from './fixtures/producer.ts';
import { World } from './fixtures/world.ts';

const met: Conversation[] = [];

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

afterEach(async () => {
  await world.sim.heal();
  for (const conversation of met.splice(0)) {
    await conversation.post('cancel').catch(() => undefined); // over already is as good
    await conversation.untilEnded();
  }
  const { unended } = (await world.sim.state()).billing;
  if (unended.length > 0) throw new Error(`still billed: ${unended.join(', ')}`);
});

async function start(request: object = {}): Promise<Conversation> {
  const conversation = await world.caller.start(request);
  met.push(conversation);
  return conversation;
}

async function live(request: object = {}): Promise<Conversation> {
  const conversation = await start(request);
  await conversation.untilState('live');
  return conversation;
}

const told = (conversation: Conversation, code: string): Promise<unknown> =>
  conversation.until(`error ${code}`, ({ type, data }) => type === 'error' && data['code'] === code);

describe('a create that fails', () => {
  it.each([
    ['create-400-concurrency', ['tavus-capacity']],
    ['create-429', ['tavus-rate-limit']],
    ['create-500', ['tavus-unavailable']],
    ['create-slow', []],
  ])('%s: told as %j, and the conversation goes live', async (fault, codes) => {
    await world.sim.fault({ fault });
    const conversation = await live();
    expect(conversation.of('error').map(({ data }) => data['code'])).toEqual(codes);
    expect((await world.sim.state()).conversations.filter(({ status }) => status === 'active')).toHaveLength(1);
  });

  it('create-timeout-after-success: what was made is found by its name and carried on, and nothing is made twice', async () => {
    await world.sim.fault({ fault: 'create-timeout-after-success' });
    const before = (await world.sim.state()).conversations.length;
    await live();
    expect((await world.sim.state()).conversations).toHaveLength(before + 1);
  });

  it('create-500 again and again: ends as start-failed, after three tries', async () => {
    await world.sim.fault({ fault: 'create-500', count: 20 });
    const conversation = await start();
    expect(await conversation.untilEnded()).toBe('start-failed');
    await told(conversation, 'tavus-unavailable');
  });
});

describe('a room that fails', () => {
  it('meeting-full once: the next try is let in', async () => {
    await world.sim.fault({ fault: 'meeting-full' });
    const conversation = await live();
    expect(conversation.of('joined')).toHaveLength(1);
  });

  const tavusIdOf = async (conversation: Conversation): Promise<string> =>
    (await conversation.view()).tavusConversationId ?? '';
  const again = (conversation: Conversation, fromEpoch: number): Promise<unknown> =>
    conversation.until(`epoch ${fromEpoch + 1}`, ({ type, epoch }) => type === 'takeover' && epoch === fromEpoch + 1);

  it('eject-bot: told, back in the same room at once; thrown out again and again it takes one new conversation, then ends', async () => {
    const conversation = await live();
    const first = await tavusIdOf(conversation);
    await world.sim.fault({ fault: 'eject-bot', match: first });
    await told(conversation, 'room-ejected');
    await again(conversation, 1);
    expect(await tavusIdOf(conversation)).toBe(first);
    await world.sim.fault({ fault: 'eject-bot', match: first });
    await again(conversation, 2);
    const second = await tavusIdOf(conversation);
    expect(second).not.toBe(first);
    await world.sim.fault({ fault: 'eject-bot', match: second });
    expect(await conversation.untilEnded()).toBe('tavus-ended');
  });

  it.each(['room-deleted', 'exp-room'])(
    '%s: told, a new conversation takes its place, once; then it ends as tavus-ended',
    async (fault) => {
      const conversation = await live();
      const first = await tavusIdOf(conversation);
      await world.sim.fault({ fault, match: first });
      await told(conversation, 'room-lost');
      await again(conversation, 1);
      const second = await tavusIdOf(conversation);
      expect(second).not.toBe(first);
      await world.sim.fault({ fault, match: second });
      expect(await conversation.untilEnded()).toBe('tavus-ended');
    },
  );

  it('minutes-run-out: Tavus’ own limit is final, no conversation takes its place', async () => {
    const conversation = await live();
    const before = (await world.sim.state()).conversations.length;
    await world.sim.fault({ fault: 'minutes-run-out' });
    expect(await conversation.untilEnded()).toBe('tavus-ended');
    await told(conversation, 'tavus-over');
    expect((await world.sim.state()).conversations).toHaveLength(before);
  });

  it('network-interrupted: told, taken up again, and speech goes on', async () => {
    const conversation = await live();
    await world.sim.fault({ fault: 'network-interrupted', ms: 2_000 });
    await told(conversation, 'room-lost');
    await world.producer.say(conversation.id, chirpWalk({ rate: RATE, ms: 1_000, seed: 3 }), 'live');
    await conversation.until('speech', ({ type }) => type === 'bot-started-speaking');
    await conversation.post('stop');
    expect(await conversation.untilEnded()).toBe('stopped');
  });
});

describe('a replica that fails', () => {
  it('never joins: ends as start-timeout', async () => {
    await world.sim.fault({ fault: 'replica-never-joins' });
    const conversation = await start({ limits: { startTimeoutSeconds: 4 } });
    expect(await conversation.untilEnded()).toBe('start-timeout');
  });

  it('leaves, freezes: told, one new conversation takes its place; lost again it ends as replica-lost', async () => {
    const both = await Promise.all([live(), live()]);
    const [leaves, freezes] = both;
    const strike = async (): Promise<void> => {
      const [one, other] = await Promise.all(both.map((each) => each.view()));
      await world.sim.fault({ fault: 'replica-leaves', match: one?.tavusConversationId ?? '' });
      await world.sim.fault({ fault: 'replica-freezes-video', match: other?.tavusConversationId ?? '' });
    };
    await strike();
    await leaves.until('replica-left', ({ type }) => type === 'replica-left');
    await told(freezes, 'replica-frozen');
    await Promise.all(both.map((each) => each.until('a new one', ({ type }) => type === 'takeover', 40_000)));
    await strike();
    expect(await Promise.all([leaves.untilEnded(), freezes.untilEnded(40_000)])).toEqual([
      'replica-lost',
      'replica-lost',
    ]);
  });

  it('goes mute while it is given speech: told; heard again, it goes on', async () => {
    const conversation = await live();
    await world.sim.fault({ fault: 'replica-mutes' });
    const speech = world.producer.say(conversation.id, chirpWalk({ rate: RATE, ms: 9_000, seed: 4 }), 'live');
    await told(conversation, 'replica-mute');
    await world.sim.heal();
    await conversation.until('speech', ({ type }) => type === 'bot-started-speaking');
    await speech;
    await conversation.post('stop');
    expect(await conversation.untilEnded()).toBe('stopped');
  });
});

it('app-message-limit: echo messages fit, and the speech is heard whole', async () => {
  await world.sim.fault({ fault: 'app-message-limit' });
  const conversation = await live({ personaId: 'pipecat0' });
  const sent = chirpWalk({ rate: RATE, ms: 2_000, seed: 5 });
  await world.producer.say(conversation.id, sent, 'burst');
  await conversation.post('stop');
  expect(await conversation.untilEnded()).toBe('stopped');
  expectWhole(judge(sent, await world.sim.heard((await conversation.view()).tavusConversationId ?? '')));
});

it('an /end that fails is asked again until the conversation is over', async () => {
  const conversation = await live();
  await world.sim.fault({ fault: 'end-fails', count: 3, status: 503 });
  await conversation.post('cancel');
  expect(await conversation.untilEnded()).toBe('canceled');
  expect((await world.sim.state()).billing.unended).toEqual([]);
});

describe('limits', () => {
  it('end a conversation that is too long, that nobody feeds, and that nobody watches', async () => {
    const room = `${world.sim.url}/rooms/nobody`;
    const [long, idle, empty] = await Promise.all([
      start({ limits: { maxDurationSeconds: 3 } }),
      start({ limits: { idleTimeoutSeconds: 2 } }),
      start({ output: { room: { url: room } }, limits: { emptyRoomSeconds: 2 } }),
    ]);
    expect(await Promise.all([long, idle, empty].map((one) => one.untilEnded()))).toEqual([
      'max-duration',
      'idle',
      'room-empty',
    ]);
  });
});

// Last: the worker claims nothing for half a minute after such an answer, since every conversation would fare the same.
it('create-401, create-402: end as tavus-auth, tavus-credits; what is started meanwhile waits', async () => {
  await world.sim.fault({ fault: 'create-401' });
  const refused = await start();
  expect(await refused.untilEnded()).toBe('tavus-auth');
  await told(refused, 'tavus-auth');
  await world.sim.fault({ fault: 'create-402' });
  const unpaid = await start();
  expect((await unpaid.view()).state).toBe('queued');
  expect(await unpaid.untilEnded(60_000)).toBe('tavus-credits');
  await told(unpaid, 'tavus-credits');
});
