import { FleetError, StartRequest, type InboundFrame } from '@tavus-fleet/contracts';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Conversation } from './conversation.ts';
import { FakeTransport, type FakeConversation } from './fake-transport.ts';

const RATE = 24_000;
const pcm = (ms: number): Uint8Array => new Uint8Array((RATE / 1_000) * 2 * ms).fill(7);
const until = (condition: () => boolean): Promise<unknown> => vi.waitUntil(condition, { timeout: 2_000, interval: 1 });
const soundOf = (frames: readonly InboundFrame[]): Uint8Array =>
  Buffer.concat(frames.flatMap((frame) => (frame.type === 'tts-audio' ? [frame.audio] : [])));
const types = (frames: readonly InboundFrame[]): string[] =>
  frames.map(({ type }) => type).filter((type, at, all) => type !== all[at - 1]);

const open: Conversation[] = [];
afterEach(async () => {
  for (const conversation of open.splice(0)) await conversation.close();
});

async function setup(
  ours = true,
): Promise<{ conversation: Conversation; fake: FakeConversation; transport: FakeTransport }> {
  const transport = new FakeTransport();
  const { conversationId, state } = await transport.start(StartRequest.parse({ replicaId: 'r' }), 'c1');
  const limits = { timeoutMs: 1_000, aheadMs: 1_000 };
  const conversation = new Conversation({
    id: conversationId,
    state,
    transport: Promise.resolve(transport),
    limits,
    ours,
    onClose: () => undefined,
  });
  open.push(conversation);
  return { conversation, fake: transport.of(conversationId), transport };
}

/** A voice that is made while it is listened to, and what became of the making. */
function voice(portions: number, ms = 100) {
  const seen = { taken: 0, returned: false };
  async function* speak(): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (; seen.taken < portions; seen.taken += 1) yield pcm(ms);
    } finally {
      seen.returned = true;
    }
  }
  return { seen, speak };
}

describe('say', () => {
  it('is one utterance: its beginning, all of its sound, its end, all under one name', async () => {
    const { conversation, fake } = await setup();
    const said = await conversation.say(pcm(250), { rate: RATE, context: 'greeting' });
    expect(said).toMatchObject({ context: 'greeting', sentMs: 250, interrupted: false });
    expect(fake.frames.map(({ type }) => type)).toEqual([
      'tts-started',
      'tts-audio',
      'tts-audio',
      'tts-audio',
      'tts-stopped',
    ]);
    expect([fake.frames[0], fake.frames.at(-1)]).toMatchObject([{ context: 'greeting' }, { context: 'greeting' }]);
    expect(soundOf(fake.frames)).toEqual(Buffer.from(pcm(250)));
    expect(await said.played).toEqual({ whole: true, playedMs: 250 });
  });

  it('takes portions of any size: a sample that is cut in two arrives whole, a rest at the very end is left out', async () => {
    const { conversation, fake } = await setup();
    const bytes = Uint8Array.from({ length: 4 * 700 + 3 }, (_, at) => at % 253);
    const portions = [
      bytes.slice(0, 1),
      bytes.slice(1, 6),
      bytes.slice(6, 6),
      bytes.slice(6, 2_001),
      bytes.slice(2_001),
    ];
    const { sentMs } = await conversation.say(portions, { rate: 8_000, channels: 2 });
    const sizes = fake.frames.flatMap((frame) => (frame.type === 'tts-audio' ? [frame.audio.byteLength % 4] : []));
    expect(new Set(sizes)).toEqual(new Set([0]));
    expect(soundOf(fake.frames)).toEqual(Buffer.from(bytes.slice(0, 2_800)));
    expect(sentMs).toBe(87.5);
  });

  it('is not disturbed by a caller that uses its buffer again', async () => {
    const { conversation, fake } = await setup();
    const buffer = new Uint8Array(4_800);
    function* reused(): Generator<Uint8Array, void, void> {
      for (const value of [1, 2, 3]) yield buffer.fill(value);
    }
    await conversation.say(reused(), { rate: RATE });
    expect(fake.frames.flatMap((frame) => (frame.type === 'tts-audio' ? [frame.audio[9]] : []))).toEqual([1, 2, 3]);
  });

  it('takes from its source only what may wait, and goes on as it is heard', async () => {
    const { conversation, fake, transport } = await setup();
    transport.playing(false);
    const { seen, speak } = voice(50);
    const saying = conversation.say(speak(), { rate: RATE });
    await until(() => conversation.bufferedMs >= 1_000);
    expect(seen.taken).toBeLessThanOrEqual(11);
    expect(conversation.bufferedMs).toBe(1_000);
    transport.playing(true);
    const { sentMs, played } = await saying;
    expect([sentMs, await played]).toEqual([5_000, { whole: true, playedMs: 5_000 }]);
    expect(seen.returned).toBe(true);
    expect(types(fake.frames)).toEqual(['tts-started', 'tts-audio', 'tts-stopped']);
  });

  it('comes one after the other, in the order of the calls', async () => {
    const { conversation, fake } = await setup();
    const saying = ['a', 'b', 'c'].map((context) => conversation.say(voice(3).speak(), { rate: RATE, context }));
    await Promise.all(saying);
    const names = fake.frames.flatMap((frame) => (frame.type === 'tts-started' ? [frame.context] : []));
    expect(names).toEqual(['a', 'b', 'c']);
    expect(types(fake.frames)).toEqual(
      Array.from({ length: 3 }, () => ['tts-started', 'tts-audio', 'tts-stopped']).flat(),
    );
  });

  it('stops with its signal: the utterance is closed, what was accepted is heard, the next one may follow', async () => {
    const { conversation, fake, transport } = await setup();
    transport.playing(false);
    const stop = new AbortController();
    const { seen, speak } = voice(50);
    const saying = conversation.say(speak, { rate: RATE, signal: stop.signal });
    const next = conversation.say(pcm(100), { rate: RATE, context: 'next' });
    await until(() => conversation.bufferedMs >= 1_000);
    stop.abort(new Error('enough'));
    await expect(saying).rejects.toThrow('enough');
    expect(seen.returned).toBe(true);
    transport.playing(true);
    await next;
    expect(types(fake.frames)).toEqual(
      Array.from({ length: 2 }, () => ['tts-started', 'tts-audio', 'tts-stopped']).flat(),
    );
    expect(fake.frames.some(({ type }) => type === 'interruption')).toBe(false);
  });

  it('closes the utterance when its source fails, and throws what the source threw', async () => {
    const { conversation, fake } = await setup();
    async function* broken(): AsyncGenerator<Uint8Array, void, void> {
      yield pcm(100);
      throw new Error('the TTS is down');
    }
    await expect(conversation.say(broken(), { rate: RATE })).rejects.toThrow('the TTS is down');
    expect(types(fake.frames)).toEqual(['tts-started', 'tts-audio', 'tts-stopped']);
  });

  it('is not held up by a source that never answers again', async () => {
    const { conversation, fake } = await setup();
    const silent: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: () => new Promise(() => undefined),
      }),
    };
    const saying = conversation.say(silent, { rate: RATE });
    await until(() => fake.frames.length === 1);
    await conversation.interrupt();
    expect(await saying).toMatchObject({ interrupted: true, sentMs: 0 });
  });

  it.each([
    [{ rate: 100 }, 'rate'],
    [{ rate: 24_000, channels: 3 as 2 }, 'channels'], // safe: what a caller without types may bring
    [{ rate: 24_000, context: '' }, 'context'],
  ])('refuses %j by its field', async (options, field) => {
    const { conversation } = await setup();
    await expect(conversation.say(pcm(10), options)).rejects.toMatchObject({
      code: 'invalid-request',
      field,
    });
  });

  it('refuses portions that are no bytes', async () => {
    const { conversation } = await setup();
    const wrong = ['text'] as unknown as Uint8Array[]; // Safe: what a caller without types may bring.
    await expect(conversation.say(wrong, { rate: RATE })).rejects.toMatchObject({
      code: 'invalid-request',
      field: 'pcm',
    });
  });
});

describe('interrupt', () => {
  it('cuts what is being said and what waits for its turn, and goes in front of all of it', async () => {
    const { conversation, fake, transport } = await setup();
    transport.playing(false);
    const aborted: unknown[] = [];
    const { seen, speak } = voice(100);
    const first = conversation.say(
      (signal) => {
        signal.addEventListener('abort', () => aborted.push('the source'));
        return speak();
      },
      { rate: RATE, context: 'first' },
    );
    const second = conversation.say(pcm(100), { rate: RATE, context: 'second' });
    await until(() => conversation.bufferedMs >= 1_000);
    await conversation.interrupt({ reason: 'the user speaks' });
    const { sentMs, interrupted, played } = await first;
    expect([sentMs, interrupted, aborted, seen.returned]).toEqual([1_000, true, ['the source'], true]);
    expect(await second).toMatchObject({ interrupted: true, sentMs: 0 });
    expect(types(fake.frames)).toEqual(['tts-started', 'tts-audio', 'interruption']);
    const sent = fake.frames.at(-1);
    fake.tell({
      type: 'interrupted',
      data: {
        playedMs: 420,
        droppedMs: 580,
        context: 'first',
        by: sent?.type === 'interruption' ? (sent.context ?? '') : '',
      },
    });
    expect(await played).toEqual({ whole: false, playedMs: 420 });
    transport.playing(true);
    const next = await conversation.say(pcm(100), { rate: RATE });
    expect(await next.played).toEqual({ whole: true, playedMs: 100 });
  });

  it('also cuts an utterance that was sent but not yet heard', async () => {
    const { conversation, transport } = await setup();
    transport.playing(false);
    const { interrupted, played } = await conversation.say(pcm(300), { rate: RATE });
    await conversation.interrupt();
    expect(interrupted).toBe(false);
    expect(await played).toEqual({ whole: false, playedMs: 0 }); // no event told more, within two seconds
  });

  it('from elsewhere ends what we are saying: its rest would be spoken into the silence', async () => {
    const { conversation, fake, transport } = await setup();
    transport.playing(false);
    const saying = conversation.say(voice(100).speak, { rate: RATE, context: 'long' });
    await until(() => conversation.bufferedMs >= 1_000);
    fake.tell({ type: 'interrupted', data: { playedMs: 700, droppedMs: 300, context: 'long' } });
    const { interrupted, played } = await saying;
    expect([interrupted, await played]).toEqual([true, { whole: false, playedMs: 700 }]);
    expect(types(fake.frames)).toEqual(['tts-started', 'tts-audio']);
  });

  it('of ours that is told late does not cut what we began after it', async () => {
    const { conversation, fake } = await setup();
    await conversation.say(pcm(100), { rate: RATE });
    await conversation.interrupt();
    const sent = fake.frames.at(-1);
    const { speak, seen } = voice(20);
    const after = conversation.say(speak, { rate: RATE });
    await until(() => seen.taken > 0);
    fake.tell({
      type: 'interrupted',
      data: { playedMs: 0, droppedMs: 0, by: sent?.type === 'interruption' ? (sent.context ?? '') : '' },
    });
    expect(await after).toMatchObject({ interrupted: false, sentMs: 2_000 });
  });
});

describe('the end', () => {
  it('is awaited by stop only when all that was said is accepted', async () => {
    const { conversation, fake } = await setup();
    void conversation.say(voice(5).speak, { rate: RATE });
    void conversation.say(pcm(100), { rate: RATE });
    await conversation.stop({ reason: 'bye' });
    expect(await conversation.ended).toBe('stopped');
    expect(fake.frames.at(-1)).toEqual({ type: 'end', reason: 'bye' });
    expect(types(fake.frames).filter((type) => type === 'tts-stopped')).toHaveLength(2);
    expect(conversation.state).toBe('ended');
  });

  it('settles what waits: saying rejects, played is not whole, bufferedMs is 0', async () => {
    const { conversation, transport } = await setup();
    transport.playing(false);
    const { played } = await conversation.say(pcm(500), { rate: RATE });
    const saying = conversation.say(voice(50).speak, { rate: RATE });
    await until(() => conversation.bufferedMs >= 1_000);
    await conversation.cancel();
    expect(await conversation.ended).toBe('canceled');
    await expect(saying).rejects.toMatchObject({ code: 'conversation-over', retry: false });
    expect(await played).toMatchObject({ whole: false });
    expect(conversation.bufferedMs).toBe(0);
  });

  it('comes with the scope for one that was started here; one that was only found goes on', async () => {
    for (const ours of [true, false]) {
      const { conversation, fake } = await setup(ours);
      await conversation[Symbol.asyncDispose]();
      expect(fake.state).toBe(ours ? 'ended' : 'live');
      await expect(conversation.say(pcm(10), { rate: RATE })).rejects.toMatchObject({ code: 'shutting-down' });
      await expect(conversation.ended).rejects.toMatchObject({ code: 'shutting-down' });
      await conversation.close();
    }
  });

  it('before it is live is told to whoever waits for it', async () => {
    const { conversation, fake } = await setup();
    fake.events.length = 1; // queued
    const waiting = conversation.live();
    fake.end('canceled');
    await expect(waiting).rejects.toMatchObject({ code: 'conversation-over' });
  });
});

it('calls fail with their field, at their deadline, and with their signal', async () => {
  const { conversation, transport, fake } = await setup();
  const bad = { extra: { maxVideoFps: 1_000 } };
  await expect(conversation.updateSettings(bad)).rejects.toMatchObject({
    code: 'invalid-request',
    field: 'extra.maxVideoFps',
  });
  // Safe: what a caller without types may bring.
  await expect(conversation.send(undefined as unknown)).rejects.toMatchObject({
    code: 'invalid-request',
    field: 'message',
  });
  fake.refusing = new FleetError('stream-full', 'full');
  await expect(conversation.send({ hello: 1 })).rejects.toMatchObject({ code: 'stream-full', retry: true });
  transport.view = () => new Promise(() => undefined);
  await expect(conversation.view({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'deadline-exceeded' });
  await expect(conversation.view({ signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
});

it('tells its state as events come, from the first time that somebody asks', async () => {
  const { conversation } = await setup();
  expect(conversation.state).toBe('queued');
  await conversation.live();
  expect(conversation.state).toBe('live');
  expect(await conversation.view()).toMatchObject({ conversationId: 'c1', state: 'live' });
});
