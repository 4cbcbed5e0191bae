import { expect, it } from 'vitest';
import { testWorld } from '../sim/test-world.ts';

type World = ReturnType<typeof testWorld>;

it.each<{
  when: string;
  properties: Record<string, number>;
  act?: (w: World, id: string) => Promise<void> | void;
  seconds: number;
  reason: string;
  atOnce?: true;
}>([
  { when: 'nobody comes', properties: {}, seconds: 300, reason: 'participant_absent_timeout reached' },
  {
    when: 'nobody comes, own timeout',
    properties: { participant_absent_timeout: 60 },
    seconds: 60,
    reason: 'participant_absent_timeout reached',
  },
  {
    when: 'the last participant leaves (default 0)',
    properties: {},
    act: async (w, id) => {
      const [one, two] = [w.rooms.join(id, 'Pipecat'), w.rooms.join(id, 'User')];
      await w.clock.pass(10_000);
      w.rooms.leave(id, one);
      await w.clock.pass(5_000);
      w.rooms.leave(id, two);
    },
    seconds: 15,
    reason: 'participant_left_timeout reached',
    atOnce: true,
  },
  {
    when: 'the last one leaves and stays away',
    properties: { participant_left_timeout: 30 },
    act: (w, id) => void w.rooms.leave(id, w.rooms.join(id, 'Pipecat')),
    seconds: 30,
    reason: 'participant_left_timeout reached',
  },
  {
    when: 'somebody comes back in time',
    properties: { participant_left_timeout: 30, max_call_duration: 100 },
    act: async (w, id) => {
      w.rooms.leave(id, w.rooms.join(id, 'Pipecat'));
      await w.clock.pass(29_000);
      w.rooms.join(id, 'Pipecat');
    },
    seconds: 100,
    reason: 'max_call_duration reached',
  },
  {
    when: 'a participant stays for ever',
    properties: {},
    act: (w, id) => void w.rooms.join(id, 'Pipecat'),
    seconds: 3_600,
    reason: 'max_call_duration reached',
  },
  {
    when: 'more than the maximum is asked',
    properties: { max_call_duration: 9_999 },
    act: (w, id) => void w.rooms.join(id, 'Pipecat'),
    seconds: 3_600,
    reason: 'max_call_duration reached',
  },
])('$when → $reason after $seconds s, billed exactly', async ({ properties, act, seconds, reason, atOnce }) => {
  const w = testWorld();
  const id = await w.create({ properties });
  const start = w.clock.now();
  await act?.(w, id);
  const justBefore = atOnce
    ? { by: reason, billing: { seconds, unended: [] } }
    : { by: null, billing: { seconds: seconds - 0.001, unended: [id] } };
  if (!atOnce) await w.clock.pass(start + seconds * 1_000 - 1 - w.clock.now());
  expect({ by: await w.endedBy(id), billing: (await w.state()).billing }).toEqual(justBefore);
  await w.clock.pass(7_200_000);
  expect(await w.endedBy(id)).toBe(reason);
  expect((await w.state()).billing).toEqual({ seconds, unended: [] });
  expect([w.clock.pending, w.replicas.running, w.rooms.rooms()]).toEqual([0, 0, []]);
});

it('the plan caps the duration without a word', async () => {
  const w = testWorld({ planMaxCallSeconds: 85 });
  const id = await w.create({ properties: { max_call_duration: 3_600 } });
  w.rooms.join(id, 'Pipecat');
  await w.clock.pass(85_000);
  expect(await w.endedBy(id)).toBe('max_call_duration reached');
});

it('says the reason without " reached" when set so', async () => {
  const w = testWorld({ reasonsSayReached: false });
  const id = await w.create();
  await w.clock.pass(300_000);
  expect(await w.endedBy(id)).toBe('participant_absent_timeout');
});

it('throws out those inside and refuses those who come later with different errors', async () => {
  const w = testWorld();
  const id = await w.create();
  const bot = w.rooms.join(id, 'Pipecat');
  await w.call('POST', `/v2/conversations/${id}/end`);
  expect(w.rooms.did.slice(-2)).toEqual([`eject ${bot}`, 'close no-room']);
});

it('a replica that cannot start ends the conversation', async () => {
  const w = testWorld();
  w.replicas.failWith = new Error('no browser');
  const id = await w.create();
  await w.clock.pass(500);
  expect(await w.endedBy(id)).toBe('exception_encountered_during_conversation_startup');
  expect((await w.state()).billing.unended).toEqual([]);
});

it('a replica that arrives after the end is stopped', async () => {
  const w = testWorld();
  const id = await w.create();
  const arrived = Promise.withResolvers<void>();
  const start = w.replicas.start.bind(w.replicas);
  w.replicas.start = async (options) => {
    await arrived.promise;
    return start(options);
  };
  await w.clock.pass(500);
  await w.call('POST', `/v2/conversations/${id}/end`);
  arrived.resolve();
  await w.clock.pass(0);
  expect([w.replicas.did, w.replicas.running]).toEqual([['stop'], 0]);
});

it('close() ends everything and may be called twice', async () => {
  const w = testWorld();
  const id = await w.create();
  await w.create();
  await w.clock.pass(500);
  await w.simulator.close();
  await w.simulator.close();
  expect(await w.endedBy(id)).toBe('simulator_closed');
  expect([w.replicas.running, w.clock.pending, (await w.state()).billing.unended]).toEqual([0, 0, []]);
});
