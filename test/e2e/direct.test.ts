// Users in the Tavus room itself (`output.direct`): they hear and see the replica from Tavus, our bot only feeds it and keeps out
// of the way. Who comes and goes is told, and the room that counts as empty is that one.
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { between, expectWhole, figures, judge } from './fixtures/judge.ts';
import { RATE } from './fixtures/producer.ts';
import { untilPictures } from './fixtures/users.ts';
import { World } from './fixtures/world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

it('is heard and seen by a user in the Tavus room, told of their coming and going, and over when nobody is left', async () => {
  const conversation = await world.caller.start({ output: { direct: true }, limits: { emptyRoomSeconds: 3 } });
  await conversation.untilState('live');
  const { tavusConversationId = '' } = await conversation.view();
  const user = await world.users.join(
    { url: `https://tavus.daily.co/${tavusConversationId}`, bundle: `${world.sim.url}/daily` },
    AbortSignal.timeout(20_000),
  );
  const came = await conversation.until(
    'a user',
    ({ type, data }) => type === 'participant-joined' && data['userName'] !== 'Pipecat Stream',
  );
  expect(came.data['room']).toBe('tavus');
  await untilPictures(user, 5);

  const sent = chirpWalk({ rate: RATE, ms: 4_000, seed: 61 });
  const said = await world.producer.say(conversation.id, sent, 'live');
  await conversation.until(
    'the end of speech',
    ({ type, seenAtMs }) => type === 'bot-stopped-speaking' && seenAtMs > said.lastAtMs,
  );
  const report = await user.report(AbortSignal.timeout(10_000));
  const heard = judge(sent, between(report, said.firstAtMs, Date.now()));
  figures('direct', { heard });
  expectWhole(heard);

  await user.leave(AbortSignal.timeout(5_000));
  await conversation.until(
    'the user leaving',
    ({ type, data }) => type === 'participant-left' && data['participantId'] === came.data['participantId'],
  );
  expect(await conversation.untilEnded(10_000)).toBe('room-empty');
  expect((await world.sim.state()).billing.unended).toEqual([]);
});
