// Malformed messages by the thousand on every inlet of the api (ten thousand each with FULL=1): each is refused with a reason that names the field, none leaves anything
// behind, the process stays as it was, and what is right is taken all the same.
import { once } from 'node:events';
import { AudioSocketMessage, Problem } from '@tavus-fleet/contracts';
import * as fc from 'fast-check';
import { Pool } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { eventually } from '../e2e/fixtures/users.ts';
import { ApiWorld } from '../fixtures/api-world.ts';

const FULL = Boolean(process.env['FULL']);
const HTTP_COUNT = FULL ? 10_000 : 400;
const SOCKET_COUNT = FULL ? 10_000 : 3_000;

let world: ApiWorld;
let http: Pool;
let id: string;

beforeAll(async () => {
  world = await ApiWorld.start();
  http = new Pool(world.api.url, { connections: 16, pipelining: 1 });
  id = await world.create();
});
afterAll(async () => {
  await http?.destroy();
  await world?.[Symbol.asyncDispose]();
});

const anyJson = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.stringify(value));
const long = fc.integer({ min: 1_000, max: 20_000 }).map((length) => 'x'.repeat(length));
/** No JSON at all, or JSON that no route takes, in every way that we could think of. */
const garbage = fc.oneof(
  { weight: 4, arbitrary: anyJson },
  fc.string().map((text) => `{${text}`),
  fc.integer({ min: 65, max: 5_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth)),
  fc.integer({ min: 65, max: 3_000 }).map((depth) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)),
  anyJson.map((json) => `{"__proto__":${json}}`),
  anyJson.map((json) => `{"constructor":{"prototype":${json}}}`),
  long.map((text) => JSON.stringify({ [text]: text })),
  fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 300 }).map((object) => JSON.stringify(object)),
);
const typed = (types: readonly string[], fields: fc.Arbitrary<object>): fc.Arbitrary<string> =>
  fc.tuple(fc.constantFrom(...types), fields).map(([type, rest]) => JSON.stringify({ type, ...rest }));
/** Nearly right: known types with rates, channels, bytes and keys that are wrong. */
const wrongFrames = fc.oneof(
  typed(
    ['tts-audio'],
    fc.record({
      audio: fc.constant('AAAA'),
      rate: fc.oneof(fc.integer({ max: 7_999 }), fc.integer({ min: 48_001 }), fc.string()),
    }),
  ),
  typed(
    ['tts-audio'],
    fc.record({ audio: fc.constant('AAAA'), channels: fc.oneof(fc.integer({ min: 3 }), fc.double({ max: 0.5 })) }),
  ),
  typed(
    ['tts-audio'],
    fc.record({ audio: fc.oneof(fc.constant(''), fc.constant('no base64!'), fc.integer(), fc.constant(null)) }),
  ),
  typed(['tts-started', 'end', 'interruption'], fc.record({ extra: fc.jsonValue() })),
  typed(['settings-update'], fc.record({ settings: fc.oneof(fc.integer(), fc.record({ modle: fc.string() })) })),
  fc.string().map((type) => JSON.stringify({ type })),
);
const start = fc.oneof(
  garbage,
  fc
    .record({ replicaId: fc.oneof(fc.integer(), fc.constant('')), limits: fc.jsonValue() })
    .map((value) => JSON.stringify(value)),
  fc.record({ replicaId: fc.string({ minLength: 1 }), nope: fc.jsonValue() }).map((value) => JSON.stringify(value)),
);

/** The answer's problem, which must name what is wrong. */
function named(status: number, text: string, body: string): void {
  const problem = Problem.parse(JSON.parse(text));
  if (status !== problem.status) throw new Error(`${status} for ${body.slice(0, 200)}`);
  const names = (problem.errors ?? []).every(({ field, message }) => field !== '' && message !== '');
  const says = problem.code === 'invalid-request' ? (problem.errors ?? []).length > 0 : (problem.detail ?? '') !== '';
  if (!names || !says) throw new Error(`${text.slice(0, 300)} for ${body.slice(0, 200)}`);
}

async function flood(
  method: 'POST' | 'PATCH',
  path: string,
  bodies: fc.Arbitrary<string>,
  key = true,
): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  const headers = key ? world.headers : { 'content-type': 'application/json' };
  const samples = fc.sample(bodies, { numRuns: HTTP_COUNT, seed: 17 });
  const sender = async (): Promise<void> => {
    for (let body = samples.pop(); body !== undefined; body = samples.pop()) {
      const answer = await http.request({ method, path, headers, body });
      const text = await answer.body.text();
      statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1);
      // A sample may by chance be right, as the empty update of settings is: then it is taken.
      if (answer.statusCode >= 300) named(answer.statusCode, text, body);
      if (answer.statusCode >= 500) throw new Error(`${answer.statusCode} for ${body.slice(0, 200)}`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, sender));
  return statuses;
}

const unharmed = (): void => {
  const trouble = world.api.lines().filter((line) => /unhandled|"level":"(error|fatal)"|MaxListeners/i.test(line));
  expect(trouble).toEqual([]);
};

it.each([
  { inlet: 'start', method: 'POST', path: () => '/v1/conversations', bodies: start, key: true },
  {
    inlet: 'frames',
    method: 'POST',
    path: () => `/v1/conversations/${id}/frames`,
    bodies: fc.oneof(garbage, wrongFrames),
    key: true,
  },
  {
    inlet: 'settings',
    method: 'PATCH',
    path: () => `/v1/conversations/${id}/settings`,
    bodies: garbage.filter((body) => body !== '{}'),
    key: true,
  },
  {
    inlet: 'interrupt',
    method: 'POST',
    path: () => `/v1/conversations/${id}/interrupt`,
    bodies: fc.oneof(fc.integer(), fc.string()).map((value) => JSON.stringify({ reason: [value] })),
    key: true,
  },
  { inlet: 'callback', method: 'POST', path: () => world.callbackPath(id), bodies: garbage, key: false },
] as const)('over HTTP: $inlet', async ({ inlet, method, path, bodies, key }) => {
  const before = { rss: world.rssMb(), records: (await world.redis.keys('fleet:{*}:record')).length };
  const frames = await world.redis.xlen(world.keys.conversation(id).frames);
  const statuses = await flood(method, path(), bodies, key);
  const taken = (statuses.get(202) ?? 0) + (statuses.get(200) ?? 0);
  process.stdout.write(
    `figures inlet ${inlet} ${JSON.stringify({ statuses: Object.fromEntries(statuses), rssMb: [before.rss, world.rssMb()] })}\n`,
  );
  expect(taken).toBeLessThan(HTTP_COUNT / 20);
  expect((await world.redis.keys('fleet:{*}:record')).length).toBe(before.records);
  expect((await world.redis.xlen(world.keys.conversation(id).frames)) - frames).toBe(
    inlet === 'frames' || inlet === 'settings' ? taken : 0,
  );
  expect(world.rssMb() - before.rss).toBeLessThan(120);
  unharmed();
});

it('over the audio WebSocket: text and binary, from a producer that reads nothing meanwhile', async () => {
  const before = world.rssMb();
  const conversation = await world.create();
  const socket = new WebSocket(
    `${world.api.url.replace('http', 'ws')}/v1/conversations/${conversation}/audio?producer=m`,
    { headers: world.headers },
  );
  const said: AudioSocketMessage[] = [];
  socket.on('message', (data: Buffer) => said.push(AudioSocketMessage.parse(JSON.parse(data.toString()))));
  await once(socket, 'open');
  await eventually('ready', () => said.length > 0, 5_000);
  socket.pause();
  const text = fc.sample(fc.oneof(garbage, wrongFrames), { numRuns: SOCKET_COUNT - 500, seed: 23 });
  for (const each of text) socket.send(each);
  for (let n = 0; n < 500; n += 1) socket.send(n % 2 === 0 ? Buffer.alloc(0) : Buffer.alloc(1_000_001 + n));
  socket.send(JSON.stringify({ type: 'tts-started' }));
  socket.send(Buffer.alloc(961)); // an odd byte is no mistake: it is carried to the next
  await eventually('it is held back', () => socket.bufferedAmount > 0, 10_000);
  socket.resume();
  const last = SOCKET_COUNT + 2;
  await eventually('the last', () => said.some((one) => one.type === 'ack' && one.accepted === last), 60_000);
  const errors = said.filter((one) => one.type === 'error');
  expect(errors.every(({ field, detail, retrying }) => field !== '' && detail !== '' && !retrying)).toBe(true);
  expect(errors.length).toBeGreaterThan(SOCKET_COUNT * 0.95);
  const frames = await world.redis.xlen(world.keys.conversation(conversation).frames);
  expect(frames).toBe(last - errors.length);
  process.stdout.write(
    `figures inlet websocket ${JSON.stringify({ errors: errors.length, rssMb: [before, world.rssMb()] })}\n`,
  );
  expect(world.rssMb() - before).toBeLessThan(150);
  socket.close();
  unharmed();
});

it.each([
  { what: 'a message over the limit', send: (socket: WebSocket) => socket.send(Buffer.alloc(1_600_000)), code: 1009 },
  {
    what: 'text that is no UTF-8',
    send: (socket: WebSocket) => socket.send(Buffer.from([0xff, 0xfe, 0xfd]), { binary: false }),
    code: 1007,
  },
])('the WebSocket says why it closes: $what', async ({ send, code }) => {
  const socket = new WebSocket(`${world.api.url.replace('http', 'ws')}/v1/conversations/${id}/audio`, {
    headers: world.headers,
  });
  await once(socket, 'open');
  send(socket);
  const [closed] = await once(socket, 'close');
  expect(closed).toBe(code);
  unharmed();
});

it('and what is right is taken after all of it', async () => {
  const ask = async (path: string, body: object): Promise<number> =>
    (await http.request({ method: 'POST', path, headers: world.headers, body: JSON.stringify(body) })).statusCode;
  expect(await ask('/v1/conversations', { replicaId: 'r' })).toBe(202);
  expect(await ask(`/v1/conversations/${id}/frames`, { type: 'tts-audio', audio: 'AAAA' })).toBe(202);
  expect(
    await ask(world.callbackPath(id), { conversation_id: 't', event_type: 'application.transcription_ready' }),
  ).toBe(200);
});
