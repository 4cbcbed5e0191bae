// One conversation after the other on the real stack (Redis, simulator, api, worker: processes), judged by what a user in the
// user room hears and sees, by what the replica heard, and by what the api tells.
import { setTimeout as pause } from 'node:timers/promises';
import type { Listener } from '@tavus-fleet/testkit';
import { chirpWalk, correlate } from '@tavus-fleet/testkit/signals';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Conversation } from './fixtures/caller.ts';
import { between, expectWhole, face, figures, judge, lastSoundAt, silentFrom } from './fixtures/judge.ts';
import { RATE } from './fixtures/producer.ts';
import { eventually, joinRoom, untilPictures } from './fixtures/users.ts';
import { World } from './fixtures/world.ts';

const TOKEN = 'user-room-token-that-nobody-may-print';

let made = 0;
/** Everything that was met, so that a test that fails leaves nothing running beside the next one. */
const met: { conversation: Conversation; user: Listener }[] = [];

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

/** A live conversation with a user in its room who already sees the avatar. */
async function meet(request: object = {}): Promise<{ conversation: Conversation; user: Listener }> {
  made += 1;
  const room = `meet-${made}`;
  const user = await joinRoom(world.users, world.sim.url, room);
  const conversation = await world.caller.start({
    output: { room: { url: `${world.sim.url}/rooms/${room}`, token: TOKEN } },
    ...request,
  });
  met.push({ conversation, user });
  await conversation.untilState('live');
  await untilPictures(user, 5);
  return { conversation, user };
}

const walk = (ms: number, seed: number): Int16Array => chirpWalk({ rate: RATE, ms, seed });
const fell = (conversation: Conversation, afterMs: number): Promise<unknown> =>
  conversation.until(
    'the end of speech',
    ({ type, seenAtMs }) => type === 'bot-stopped-speaking' && seenAtMs > afterMs,
  );

afterEach(async ({ task }) => {
  for (const { conversation, user } of met.splice(0)) {
    if (task.result?.state !== 'fail') continue;
    await conversation.post('cancel').catch(() => undefined); // over already is as good
    await conversation.untilEnded();
    await user.leave(AbortSignal.timeout(5_000)).catch(() => undefined); // left already is as good
  }
});

describe('a conversation', () => {
  it('lets the user hear an utterance whole and see a mouth that follows it; says so with events and metrics', async () => {
    const { conversation, user } = await meet();
    const restFrom = Date.now();
    await untilPictures(user, 8);
    const sent = walk(4_000, 11);
    const { firstAtMs, lastAtMs } = await world.producer.say(conversation.id, sent, 'live');
    await fell(conversation, lastAtMs);
    const toMs = Date.now();
    await untilPictures(user, 8);
    const report = await user.report(AbortSignal.timeout(10_000));
    const { tavusConversationId = '', metrics } = await conversation.view();
    const inUserRoom = judge(sent, between(report, firstAtMs, toMs));
    const atReplica = judge(sent, await world.sim.heard(tavusConversationId));
    const { replicaDelayMs } = await world.sim.settings();
    const speaking = face(report, firstAtMs + 700, lastAtMs);
    const resting = face(report, restFrom, firstAtMs);
    figures('utterance', {
      inUserRoom,
      atReplica,
      firstSoundMs: (inUserRoom.lagMs ?? 0) - replicaDelayMs,
      speaking,
      resting,
      ttfb: conversation.ttfb,
    });
    expectWhole(inUserRoom);
    expectWhole(atReplica);
    expect(speaking.mouth).toBeGreaterThan(resting.mouth + 0.2);
    expect(resting.mouth).toBeLessThan(0.05);
    expect(speaking.fresh).toBeGreaterThan(15);
    expect(conversation.of('bot-started-speaking')).toHaveLength(1);
    expect(conversation.of('bot-stopped-speaking')).toHaveLength(1);
    expect(conversation.of('tts-started')).toHaveLength(1);
    expect(conversation.ttfb).toEqual([expect.any(Number)]);
    expect(metrics['startMs']).toBeGreaterThan(0);
    await conversation.post('stop');
    expect(await conversation.untilEnded()).toBe('stopped');
    await user.leave(AbortSignal.timeout(5_000));
  });

  it('falls silent on an interruption, lets the next utterance be heard from its first block, and plays what was accepted before a stop', async () => {
    const { conversation, user } = await meet();
    await world.producer.say(conversation.id, walk(6_000, 21), 'burst');
    await conversation.until('speech', ({ type }) => type === 'bot-started-speaking');
    await pause(1_000); // waits: in the middle of the utterance
    const interruptedMs = Date.now();
    await conversation.post('interrupt');
    const answered = await conversation.until('interrupted', ({ type }) => type === 'interrupted', 5_000);
    const next = walk(2_000, 22);
    const second = await world.producer.say(conversation.id, next, 'burst');
    await fell(conversation, second.lastAtMs + 1_500);
    const secondToMs = Date.now();

    const last = walk(5_000, 23);
    const third = await world.producer.say(conversation.id, last, 'burst');
    await conversation.post('stop');
    expect(await conversation.untilEnded()).toBe('stopped');
    const endedMs = Date.now();

    const report = await user.report(AbortSignal.timeout(10_000));
    const nextHeard = judge(next, between(report, second.firstAtMs, secondToMs));
    const silentAtMs = silentFrom(report, interruptedMs);
    const lastHeard = judge(last, between(report, third.firstAtMs, endedMs));
    figures('interruption and stop', {
      toSilenceMs: silentAtMs === undefined ? null : silentAtMs - interruptedMs,
      toEventMs: answered.seenAtMs - interruptedMs,
      interrupted: answered.data,
      next: nextHeard,
      last: lastHeard,
      stopToEndedMs: endedMs - third.lastAtMs,
    });
    expect(silentAtMs).toBeDefined();
    expect((silentAtMs ?? 0) - interruptedMs).toBeLessThanOrEqual(300);
    expectWhole(nextHeard);
    expectWhole(lastHeard);
    // The last 200 ms in four pieces: a jitter buffer that stretches the sound spoils the one it does it in.
    const toTheEnd = between(report, third.firstAtMs, endedMs);
    const pieces = [4, 3, 2, 1].map((from) =>
      last.slice(last.length - (from * RATE) / 20, last.length - ((from - 1) * RATE) / 20),
    );
    const found = pieces.filter((piece) => correlate(piece, toTheEnd, piece.length).correlation > 0.8);
    expect(found.length).toBeGreaterThanOrEqual(3);
    expect((await world.sim.state()).billing.unended).toEqual([]);
    await user.leave(AbortSignal.timeout(5_000));
  });

  it('is silent at once and over after a cancel in the middle of speech', async () => {
    const { conversation, user } = await meet();
    await world.producer.say(conversation.id, walk(5_000, 31), 'burst');
    await conversation.until('speech', ({ type }) => type === 'bot-started-speaking');
    await pause(800); // waits: in the middle of the utterance
    const canceledMs = Date.now();
    await conversation.post('cancel');
    expect(await conversation.untilEnded()).toBe('canceled');
    const endedMs = Date.now();
    const report = await user.report(AbortSignal.timeout(10_000));
    const silentMs = (lastSoundAt(report, canceledMs - 500, endedMs + 5_000) ?? 0) - canceledMs;
    const { state, tavusConversationId } = await conversation.view();
    const { conversations, billing } = await world.sim.state();
    figures('cancel', { toSilenceMs: silentMs, toEndedMs: endedMs - canceledMs });
    expect(silentMs).toBeLessThanOrEqual(500);
    expect(state).toBe('canceled');
    expect(conversations.find(({ id }) => id === tavusConversationId)).toMatchObject({
      status: 'ended',
      endedBy: 'end_conversation_endpoint_hit',
    });
    expect(billing.unended).toEqual([]);
    await user.leave(AbortSignal.timeout(5_000));
  });

  it('lets a source of 16 kHz in stereo be heard clean', async () => {
    const { conversation, user } = await meet();
    const mono = chirpWalk({ rate: 16_000, ms: 4_000, seed: 51 });
    const stereo = Int16Array.from({ length: 2 * mono.length }, (_, at) => mono[at >> 1] ?? 0);
    const said = await world.producer.say(conversation.id, stereo, 'live', { rate: 16_000, channels: 2 });
    await fell(conversation, said.lastAtMs);
    const report = await user.report(AbortSignal.timeout(10_000));
    const sent = walk(4_000, 51); // the same sound at the rate that is heard
    const inUserRoom = judge(sent, between(report, said.firstAtMs, Date.now()));
    const atReplica = judge(sent, await world.sim.heard((await conversation.view()).tavusConversationId ?? ''));
    figures('16 kHz stereo', { inUserRoom, atReplica });
    expectWhole(inUserRoom);
    expectWhole(atReplica);
    await conversation.post('cancel');
    expect(await conversation.untilEnded()).toBe('canceled');
    await user.leave(AbortSignal.timeout(5_000));
  });

  it('speaks by echo messages with the persona that expects them', async () => {
    const { conversation, user } = await meet({ personaId: 'pipecat0' });
    const sent = walk(3_000, 41);
    const { firstAtMs, lastAtMs } = await world.producer.say(conversation.id, sent, 'live');
    await fell(conversation, lastAtMs);
    const report = await user.report(AbortSignal.timeout(10_000));
    const heard = judge(sent, between(report, firstAtMs, Date.now()));
    figures('echo', { heard, ttfb: conversation.ttfb });
    expectWhole(heard);
    await conversation.post('stop');
    expect(await conversation.untilEnded()).toBe('stopped');
    await user.leave(AbortSignal.timeout(5_000));
  });

  it('sends the user room fewer pictures when told to, and all of them again when told so', async () => {
    const { conversation, user } = await meet();
    const update = (json: string): Promise<string> =>
      world.producer.add(conversation.id, 'type', 'settings-update', 'json', json);
    /** Pictures a second, over as many as take about two seconds at the rate in question. */
    const rate = async (count: number): Promise<number> => {
      const startedMs = Date.now();
      await untilPictures(user, count);
      return (count * 1_000) / (Date.now() - startedMs);
    };
    const before = await rate(20);
    await update('{"extra":{"maxVideoFps":3}}');
    await conversation.until('settings', ({ type }) => type === 'settings-updated');
    await untilPictures(user, 5); // what was under way
    const limited = await rate(6);
    await update('{"extra":{"maxVideoFps":null}}');
    await untilPictures(user, 5);
    const after = await rate(20);
    figures('maxVideoFps', { before, limited, after });
    expect(limited).toBeLessThan(4.5);
    expect(before).toBeGreaterThan(6);
    expect(after).toBeGreaterThan(6);
    expect(conversation.of('settings-updated').map(({ data }) => data['changed'])).toEqual([
      { 'extra.maxVideoFps': null },
      { 'extra.maxVideoFps': 3 },
    ]);
    await conversation.post('stop');
    expect(await conversation.untilEnded()).toBe('stopped');
  });

  it('obeys settings and messages, names what is wrong with an entry, and goes on', async () => {
    const { conversation, user } = await meet();
    const { tavusConversationId = '' } = await conversation.view();
    await world.producer.add(conversation.id, 'type', 'settings-update', 'json', '{"model":"phoenix-4"}');
    expect(
      (await conversation.until('settings', ({ type }) => type === 'settings-updated')).data['changed'],
    ).toHaveProperty('model');
    const message = {
      message_type: 'conversation',
      event_type: 'conversation.respond',
      conversation_id: tavusConversationId,
      properties: { text: 'well met' },
    };
    await world.producer.add(conversation.id, 'type', 'message', 'json', JSON.stringify(message));
    await eventually(
      'the message at the replica',
      async () => JSON.stringify(await world.sim.messages(tavusConversationId)).includes('well met'),
      5_000,
    );

    const pcm = Buffer.alloc(960);
    const bad: [string, ...(string | Buffer)[]][] = [
      ['rate', 'type', 'tts-audio', 'rate', 'fast', 'channels', '1', 'audio', pcm],
      ['rate', 'type', 'tts-audio', 'rate', '999999999', 'channels', '1', 'audio', pcm],
      ['channels', 'type', 'tts-audio', 'rate', '24000', 'channels', '7', 'audio', pcm],
      ['audio', 'type', 'tts-audio', 'rate', '24000', 'channels', '1'],
      ['type', 'rate', '24000', 'audio', pcm],
      ['type', 'type', 'tts-shouted'],
      ['json', 'type', 'message', 'json', '{"half":'],
      ['json', 'type', 'settings-update'],
    ];
    for (const [, ...fields] of bad) await world.producer.add(conversation.id, ...fields);
    await conversation.until('the last error', () => conversation.of('error').length >= bad.length, 5_000);
    expect(conversation.of('error').map(({ data }) => [data['field'], data['code'], data['fatal']])).toEqual(
      bad.map(([field]) => [field, 'malformed-frame', false]),
    );

    // Odd byte counts are no fault: the half sample is carried to the next entry of the utterance.
    const sent = walk(1_500, 51);
    const bytes = Buffer.from(sent.buffer);
    const startedMs = Date.now();
    await world.producer.add(conversation.id, 'type', 'tts-started');
    for (let at = 0; at < bytes.length; at += 961)
      await world.producer.add(
        conversation.id,
        'type',
        'tts-audio',
        'rate',
        '24000',
        'channels',
        '1',
        'audio',
        bytes.subarray(at, at + 961),
      );
    await world.producer.add(conversation.id, 'type', 'tts-stopped');
    await fell(conversation, startedMs);
    const heard = judge(sent, between(await user.report(AbortSignal.timeout(10_000)), startedMs, Date.now()));
    figures('after malformed entries', { heard });
    expectWhole(heard);
    expect(conversation.of('error')).toHaveLength(bad.length);
    await world.producer.add(conversation.id, 'type', 'end');
    expect(await conversation.untilEnded()).toBe('stopped');
    expect((await conversation.view()).counters).toMatchObject({ framesMalformed: bad.length, utterances: 1 });
    await user.leave(AbortSignal.timeout(5_000));
  });

  it('leaves one summary line each, no bill, and no secret in any line', async () => {
    const { billing, conversations } = await world.sim.state();
    expect(billing.unended).toEqual([]);
    expect(conversations).toHaveLength(made);
    const lines = [...world.stack.workers.flatMap((worker) => worker.lines()), ...world.stack.api.lines()];
    expect(lines.filter((line) => line.includes('"session ended"'))).toHaveLength(made);
    const secrets = [
      world.stack.apiKey,
      TOKEN,
      '/rooms/meet-',
      'tavus.daily.co',
      ...conversations.map(({ id }) => `/${id}`),
      'well met',
    ];
    expect(lines.filter((line) => secrets.some((secret) => line.includes(secret)))).toEqual([]);
  });
});
