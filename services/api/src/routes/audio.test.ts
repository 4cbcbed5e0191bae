import { once } from 'node:events';
import { AudioSocketMessage } from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import type { WebSocket } from '@fastify/websocket';
import { afterEach, expect, it, vi } from 'vitest';
import type { App } from '../app.ts';
import { Client, problemIn } from '../test-client.ts';
import { asA, asB, World } from '../test-world.ts';

let app: App | undefined;
afterEach(async () => {
  await app?.close();
});

/** One connection of a producer; keeps what the api says. */
class Peer {
  readonly said: AudioSocketMessage[] = [];
  readonly socket: WebSocket;
  #news = Promise.withResolvers<void>();

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => {
      this.said.push(AudioSocketMessage.parse(JSON.parse(data.toString())));
      this.#news.resolve();
      this.#news = Promise.withResolvers();
    });
  }

  async until<T extends AudioSocketMessage['type']>(
    type: T,
    fits: (message: Extract<AudioSocketMessage, { type: T }>) => boolean = () => true,
  ): Promise<Extract<AudioSocketMessage, { type: T }>> {
    for (;;) {
      for (const message of this.said) {
        // Safe: the discriminant was compared; the compiler does not narrow by a generic one.
        if (message.type === type && fits(message as Extract<AudioSocketMessage, { type: T }>))
          return message as Extract<AudioSocketMessage, { type: T }>;
      }
      await this.#news.promise;
    }
  }
}

async function setup() {
  const world = new World();
  const clock = new FakeClock();
  const own = await world.app(clock);
  app = own;
  await own.ready();
  const id = await new Client(own).start();
  const connect = async (query = '', headers: Record<string, string> = asA): Promise<Peer> => {
    let peer: Peer | undefined;
    await own.injectWS(`/v1/conversations/${id}/audio${query}`, { headers }, { onInit: (ws) => (peer = new Peer(ws)) });
    if (!peer) throw new Error('The socket was not opened.');
    return peer;
  };
  return { world, clock, app: own, id, connect };
}

const pcm = (ms: number): Buffer => Buffer.alloc((24_000 * 2 * ms) / 1_000);

it('puts binary messages into the stream as PCM and text messages as frames, in order, and says how much waits', async () => {
  const { world, id, connect } = await setup();
  const peer = await connect('?producer=p');
  expect(await peer.until('ready')).toEqual({ type: 'ready', producer: 'p', accepted: 0, rate: 24_000, channels: 1 });
  peer.socket.send(JSON.stringify({ type: 'tts-started' }));
  peer.socket.send(pcm(100));
  peer.socket.send(pcm(60));
  peer.socket.send(JSON.stringify({ type: 'tts-stopped' }));
  expect(await peer.until('ack', ({ accepted }) => accepted === 4)).toMatchObject({ bufferedMs: 160 });
  expect(world.frames.map(({ frame }) => frame.type)).toEqual(['tts-started', 'tts-audio', 'tts-audio', 'tts-stopped']);
  expect(world.frames.every(({ conversationId }) => conversationId === id)).toBe(true);
});

it('counts what was played down, and drops it at an interruption', async () => {
  const { world, clock, id, connect } = await setup();
  const peer = await connect();
  peer.socket.send(pcm(100));
  peer.socket.send(pcm(100));
  await peer.until('ack', ({ bufferedMs }) => bufferedMs === 200);
  world.set(id, { position: '1-0' });
  await clock.pass(250);
  expect(await peer.until('ack', ({ bufferedMs }) => bufferedMs === 100)).toMatchObject({ accepted: 2 });
  peer.socket.send(JSON.stringify({ type: 'interruption' }));
  await peer.until('ack', ({ bufferedMs, accepted }) => bufferedMs === 0 && accepted === 3);
});

it('reads what it is told of rate and channels', async () => {
  const { world, connect } = await setup();
  const peer = await connect('?rate=16000&channels=2');
  peer.socket.send(Buffer.alloc(640));
  await peer.until('ack');
  expect(world.frames[0]?.frame).toMatchObject({ type: 'tts-audio', rate: 16_000, channels: 2 });
});

it('takes a cut producer up where it was: nothing lost, nothing twice', async () => {
  const { world, connect } = await setup();
  const first = await connect('?producer=p');
  for (const ms of [20, 40]) first.socket.send(pcm(ms));
  await first.until('ack', ({ accepted }) => accepted === 2);
  first.socket.terminate();
  const second = await connect('?producer=p');
  expect(await second.until('ready')).toMatchObject({ accepted: 2 });
  second.socket.send(pcm(60));
  await second.until('ack', ({ accepted }) => accepted === 3);
  expect(world.frames.map(({ frame }) => (frame.type === 'tts-audio' ? frame.audio.byteLength / 48 : 0))).toEqual([
    20, 40, 60,
  ]);
});

it('refuses what is wrong by its number and its field, and goes on', async () => {
  const { world, connect } = await setup();
  const peer = await connect();
  for (const text of ['{', '[]', '{"type":"nonsense"}', '{"type":"tts-audio","audio":"!"}', '{"__proto__":1}'])
    peer.socket.send(text);
  peer.socket.send(Buffer.alloc(0));
  peer.socket.send(pcm(20));
  await peer.until('ack', ({ accepted }) => accepted === 7);
  const refused = peer.said.flatMap((said) => (said.type === 'error' ? [said] : []));
  expect(refused.map(({ message, code }) => [message, code])).toEqual(
    [1, 2, 3, 4, 5, 6].map((number) => [number, 'malformed-frame']),
  );
  expect(refused[3]?.field).toBe('audio');
  expect(world.frames).toHaveLength(1);
});

it('keeps what cannot be added now, says so once, and adds it when it can', async () => {
  const { world, clock, connect } = await setup();
  const peer = await connect();
  world.framesFull = true;
  peer.socket.send(pcm(20));
  peer.socket.send(pcm(40));
  expect(await peer.until('error')).toMatchObject({ message: 1, code: 'stream-full', retrying: true });
  await clock.pass(2_000);
  world.framesFull = false;
  await clock.pass(250);
  await peer.until('ack', ({ accepted }) => accepted === 2);
  expect(peer.said.filter(({ type }) => type === 'error')).toHaveLength(1);
  expect(world.frames).toHaveLength(2);
});

it('says that the conversation is over, and closes', async () => {
  const { world, clock, id, connect } = await setup();
  const peer = await connect();
  await peer.until('ready');
  const closed = once(peer.socket, 'close');
  world.end(id, 'idle');
  await clock.pass(250);
  expect(await peer.until('ended')).toEqual({ type: 'ended', endReason: 'idle' });
  expect((await closed)[0]).toBe(1000);
  await vi.waitFor(() => expect(clock.pending).toBe(0)); // our side closes just after the producer's
});

it('sends producers elsewhere when the process leaves', async () => {
  const { world, connect } = await setup();
  const peer = await connect();
  await peer.until('ready');
  const closed = once(peer.socket, 'close');
  world.draining.abort();
  expect((await closed)[0]).toBe(1012);
});

it('refuses before the upgrade, as a problem: no WebSocket, wrong query, another key, over', async () => {
  const { world, app: own, id, connect } = await setup();
  const client = new Client(own);
  const url = `/v1/conversations/${id}/audio`;
  expect(problemIn(await client.ask({ method: 'GET', url }))).toMatchObject({ status: 400, code: 'invalid-request' });
  expect(problemIn(await client.ask({ method: 'GET', url: `${url}?rate=7999&x=1` }))).toMatchObject({
    status: 400,
    fields: { rate: 'must be a whole number of Hz from 8000 to 48000', x: 'is not known here; remove it' },
  });
  expect(problemIn(await client.ask({ method: 'GET', url, headers: asB }))).toMatchObject({ status: 404 });
  await expect(connect('', asB)).rejects.toThrow('404');
  world.end(id, 'idle');
  await expect(connect()).rejects.toThrow('409');
});
