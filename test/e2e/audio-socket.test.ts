// Speech over the api's WebSocket, cut in the middle of an utterance and taken up again: the replica hears it whole, once.
import { setTimeout as pause } from 'node:timers/promises';
import { AudioSocketMessage } from '@tavus-fleet/contracts';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { expectWhole, figures, judge } from './fixtures/judge.ts';
import { RATE } from './fixtures/producer.ts';
import { World } from './fixtures/world.ts';

const CHUNK_MS = 40;

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

/** One connection: what was said on it, and how far the producer is known to be. */
async function connect(conversationId: string): Promise<{ socket: WebSocket; said: AudioSocketMessage[] }> {
  const { url } = world.stack.api;
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/conversations/${conversationId}/audio?producer=p`, {
    headers: { authorization: `Bearer ${world.stack.apiKey}` },
  });
  const said: AudioSocketMessage[] = [];
  const ready = Promise.withResolvers<void>();
  socket.on('error', ready.reject);
  socket.on('message', (data: Buffer) => {
    said.push(AudioSocketMessage.parse(JSON.parse(data.toString())));
    ready.resolve();
  });
  await ready.promise;
  return { socket, said };
}

it('is heard whole and once, though the connection is cut twice', async () => {
  const conversation = await world.caller.start({});
  await conversation.untilState('live');
  const sent = chirpWalk({ rate: RATE, ms: 5_000, seed: 71 });
  const chunk = (RATE * CHUNK_MS) / 1_000;
  const messages: (string | Buffer)[] = [JSON.stringify({ type: 'tts-started' })];
  for (let at = 0; at < sent.length; at += chunk) messages.push(Buffer.from(sent.slice(at, at + chunk).buffer));
  messages.push(JSON.stringify({ type: 'tts-stopped' }));

  const cuts = new Set([40, 90]); // while the last messages are on their way: not even the producer knows whether they arrived
  const resumedAt: number[] = [];
  let most = 0;
  for (let next = 0; next < messages.length;) {
    const { socket, said } = await connect(conversation.id);
    const [ready] = said;
    next = ready?.type === 'ready' ? ready.accepted : Number.NaN;
    resumedAt.push(next);
    while (next < messages.length) {
      socket.send(messages[next] ?? '');
      next += 1;
      if (cuts.delete(next)) break;
      await pause(CHUNK_MS - 4); // the rhythm of a producer in real time, a little ahead
    }
    if (next < messages.length) {
      socket.terminate();
      continue;
    }
    await conversation.post('stop');
    expect(await conversation.untilEnded()).toBe('stopped');
    most = Math.max(...said.map((message) => (message.type === 'ack' ? message.bufferedMs : 0)));
    socket.close();
  }
  const heard = judge(sent, await world.sim.heard((await conversation.view()).tavusConversationId ?? ''));
  figures('audio socket', { resumedAt, mostBufferedMs: most, heard });
  expect(resumedAt).toHaveLength(3);
  expect(most).toBeGreaterThan(0);
  expectWhole(heard);
});
