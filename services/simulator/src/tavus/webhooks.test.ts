import { createServer } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import { portOf } from '../sim/port-of.ts';
import { testWorld } from '../sim/test-world.ts';
import { isLoopback } from './webhooks.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A callback endpoint; `received` are the parsed bodies. */
async function endpoint(answer = 200) {
  const received: { event_type: string; properties: Record<string, unknown> }[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => (text += String(part)));
    request.on('end', () => {
      received.push(JSON.parse(text));
      response.writeHead(answer, { location: '/elsewhere' }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return { received, url: `http://127.0.0.1:${portOf(server)}/cb/secret` };
}

const types = (received: { event_type: string }[]) => received.map((one) => one.event_type).toSorted();
const LIFE = ['application.transcription_ready', 'system.pal_joined', 'system.replica_joined', 'system.shutdown'];

async function live(w: ReturnType<typeof testWorld>, callbackUrl: string): Promise<string> {
  const id = await w.create({ callback_url: callbackUrl, conversation_name: 'call one' });
  await w.clock.pass(500);
  await w.call('POST', `/v2/conversations/${id}/end`);
  await w.clock.pass(0);
  await w.simulator.webhooks.flushed();
  return id;
}

it('sends the four events of a life in the documented envelope', async () => {
  const w = testWorld();
  const { received, url } = await endpoint();
  w.replicas.heardMessages = [
    {
      at: new Date(w.clock.now()).toISOString(),
      from: 's1',
      data: { event_type: 'conversation.echo', properties: { modality: 'text', text: 'Hi', inference_id: 'i1' } },
    },
    {
      at: new Date(w.clock.now()).toISOString(),
      from: 's1',
      data: { event_type: 'conversation.echo', properties: { modality: 'audio', audio: 'AAA=' } },
    },
  ];
  const id = await live(w, url);
  expect(types(received)).toEqual(LIFE);
  expect(received.find((one) => one.event_type === 'system.shutdown')).toEqual({
    properties: { replica_id: 'r1', face_id: 'r1', shutdown_reason: 'end_conversation_endpoint_hit' },
    conversation_id: id,
    webhook_url: url,
    event_type: 'system.shutdown',
    message_type: 'system',
    timestamp: expect.stringMatching(/\.\d{6}Z$/),
  });
  const transcript = received.find((one) => one.event_type === 'application.transcription_ready')?.properties[
    'transcript'
  ];
  expect(transcript).toMatchObject([{ role: 'assistant', content: 'Hi', inference_id: 'i1', seconds_from_start: 0 }]);
});

it.each([
  { fault: 'webhook-duplicate', expected: LIFE.flatMap((type) => [type, type]) },
  { fault: 'webhook-drop', expected: [] },
])('$fault', async ({ fault, expected }) => {
  const w = testWorld();
  const { received, url } = await endpoint();
  await w.fault({ fault, match: 'call one' });
  const id = await live(w, url);
  expect(types(received)).toEqual(expected);
  expect((await w.call('GET', `/v2/conversations/${id}?verbose=true`)).body).toMatchObject({ events: { length: 4 } });
});

it('does not follow, does not repeat, and does not log the URL', async () => {
  const w = testWorld();
  const { received, url } = await endpoint(302);
  await live(w, url);
  expect(received).toHaveLength(4);
  expect(w.simulator.webhooks.counters).toMatchObject({ sent: 0, failed: 4 });
  expect(w.warnings.join('\n')).toContain('webhook failed');
  expect(w.warnings.join('\n')).not.toContain('secret');
});

it('never calls a stranger', async () => {
  const w = testWorld();
  await live(w, 'https://example.com/cb');
  expect(w.simulator.webhooks.counters).toMatchObject({ refusedNotLoopback: 4, sent: 0, failed: 0 });
});

it('a bounded queue counts what it drops', async () => {
  const w = testWorld();
  const server = createServer(() => {}); // takes the request and never answers
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const url = `http://127.0.0.1:${portOf(server)}/`;
  for (let n = 0; n < 1_010; n += 1) {
    w.simulator.webhooks.send(
      {
        properties: {},
        conversation_id: 'c1',
        webhook_url: url,
        event_type: 'x',
        message_type: 'system',
        timestamp: '',
      },
      { name: '' },
    );
  }
  expect(w.simulator.webhooks.counters.droppedQueueFull).toBe(6); // 4 are under way, 1000 wait
  await w.simulator.webhooks.close();
});

it.each([
  ['http://127.0.0.1:1/x', true],
  ['http://localhost/x', true],
  ['http://[::1]:8080/', true],
  ['http://127.evil.com/', false],
  ['https://example.com/', false],
  ['ftp://127.0.0.1/', false],
  ['nonsense', false],
])('loopback? %s', (url, expected) => {
  expect(isLoopback(url)).toBe(expected);
});
