// Clients whose network breaks all the time, at any byte: an event stream and an audio WebSocket lose nothing and get nothing twice.
import { setTimeout as pause } from 'node:timers/promises';
import { AudioSocketMessage, EventView } from '@tavus-fleet/contracts';
import { seeded } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ApiWorld } from '../fixtures/api-world.ts';
import { CuttingProxy } from '../fixtures/cutting-proxy.ts';

let world: ApiWorld;

beforeAll(async () => {
  world = await ApiWorld.start();
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

it('an event stream that is cut at random: every event once, in order', async () => {
  const random = seeded(5);
  const id = await world.create();
  await using proxy = await CuttingProxy.start(world.api.url, () => 300 + Math.floor(random() * 3_000));
  const got: EventView[] = [];
  const url = `${proxy.url}/v1/conversations/${id}/events`;

  const read = async (): Promise<void> => {
    while (got.at(-1)?.type !== 'ended') {
      try {
        const last = got.at(-1)?.id;
        const headers = { ...world.headers, ...(last === undefined ? {} : { 'last-event-id': last }) };
        const response = await fetch(url, { headers, signal: AbortSignal.timeout(30_000) });
        if (response.status !== 200) throw new Error(`status ${response.status}`);
        let text = '';
        for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
          text += chunk;
          const blocks = text.split('\n\n');
          text = blocks.pop() ?? ''; // what was cut off is no event: it comes again
          for (const block of blocks) {
            const data = /^data: (.*)$/m.exec(block)?.[1];
            if (data !== undefined) got.push(EventView.parse(JSON.parse(data)));
          }
        }
      } catch {
        await pause(1); // cut: comes back at once, which is harder than the pause that a browser makes
      }
    }
  };
  const reading = read();
  for (let n = 0; n < 600; n += 1) {
    await world.events.appendUnowned(id, { type: 'tts-started', data: { context: `c${n}` } });
  }
  await world.records.desire(id, 'cancel');
  await reading;

  const { events } = await world.events.read(id, '0', 3_000);
  expect(got.map((event) => event.id)).toEqual(events.map((event) => event.id));
  expect(got).toHaveLength(603);
  expect(proxy.cuts).toBeGreaterThan(50);
  process.stdout.write(`figures event stream ${JSON.stringify({ events: got.length, cuts: proxy.cuts })}\n`);
});

it('an audio WebSocket that is cut at random: every message once, in order', async () => {
  const random = seeded(6);
  const id = await world.create();
  await using proxy = await CuttingProxy.start(world.api.url, () => 5_000 + Math.floor(random() * 50_000));
  const total = 1_000;
  const message = (n: number): Buffer => {
    const audio = Buffer.alloc(480);
    audio.writeUInt32LE(n, 0);
    return audio;
  };
  const url = `${proxy.url.replace('http', 'ws')}/v1/conversations/${id}/audio?producer=p`;

  /** Answers how far it came. */
  const connection = async (): Promise<number> => {
    let accepted = 0;
    const socket = new WebSocket(url, { headers: world.headers });
    const closed = Promise.withResolvers<void>();
    socket.on('error', () => socket.terminate());
    socket.once('close', () => closed.resolve());
    socket.on('message', (data: Buffer) => {
      const said = AudioSocketMessage.parse(JSON.parse(data.toString()));
      if (said.type !== 'ready' && said.type !== 'ack') return;
      accepted = said.accepted;
      if (said.type === 'ready')
        for (let n = accepted; n < Math.min(total, accepted + 200); n += 1) socket.send(message(n));
      else if (accepted >= total) socket.close();
    });
    // Where the cut fell into the goodbye, nothing is to come.
    const silent = setTimeout(() => socket.terminate(), 2_000); // waits: as a producer does before it takes silence for a cut
    await closed.promise;
    clearTimeout(silent);
    return accepted;
  };
  for (let accepted = 0; accepted < total;) accepted = Math.max(accepted, await connection());

  const entries = await world.redis.xrangeBuffer(world.keys.conversation(id).frames, '-', '+');
  const order = entries.map(([, fields]) => fields[7]?.readUInt32LE(0));
  expect(order).toEqual(Array.from({ length: total }, (_, n) => n));
  expect(proxy.cuts).toBeGreaterThan(20);
  process.stdout.write(`figures audio socket ${JSON.stringify({ messages: total, cuts: proxy.cuts })}\n`);
});
