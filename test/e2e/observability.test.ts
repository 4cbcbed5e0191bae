// What the fleet tells of itself: one conversation and a handful of failures, with every process at log level trace and a collector
// listening. Then: the trace is whole, no line and no span holds what must not be told, and the metrics moved as they had to.
import { randomBytes } from 'node:crypto';
import { OtlpCollector, Stack, startRedis, type CollectedSpan, type RedisServer } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Caller, type Conversation } from './fixtures/caller.ts';
import { Exposition } from './fixtures/exposition.ts';
import { figures } from './fixtures/judge.ts';
import { Producer, RATE } from './fixtures/producer.ts';
import { SimulatorView } from './fixtures/simulator-view.ts';
import { eventually } from './fixtures/users.ts';

/** Each is unlike anything else, so that finding it in a line proves a leak. */
const secret = (what: string): string => `${what}${randomBytes(9).toString('hex')}`;
const secrets = {
  tavusKey: secret('tavuskey'),
  redisPassword: secret('redispassword'),
  userRoom: secret('userroom'),
  userRoomToken: secret('userroomtoken'),
  jsonWebToken: `eyJ${randomBytes(12).toString('base64url')}.${randomBytes(20).toString('base64url')}.x`,
  greeting: secret('greeting'),
  context: secret('context'),
  spoken: secret('spoken'),
  malformed: secret('malformed'),
  badBody: secret('badbody'),
  badField: secret('badfield'),
  badKey: secret('badkey'),
  badPath: secret('badpath'),
  badRoom: secret('badroom'),
  badJob: secret('badjob'),
  metadata: secret('metadata'),
};
const found: Record<string, string> = { ...secrets };

const lines: string[] = [];
let redisServer: RedisServer;
let redis: Redis;
let collector: OtlpCollector;
let stack: Stack;
let sim: SimulatorView;
let caller: Caller;
let conversation: Conversation;
let metrics: { readonly before: Exposition; readonly worker: Exposition; readonly api: Exposition };
let spans: readonly CollectedSpan[];
let traceId: string;
/** The conversation that had two sessions. */
let takenOverId: string;

beforeAll(async () => {
  redisServer = await startRedis();
  redis = new Redis(redisServer.url);
  // As docs/operations.md says.
  const rights = ['~fleet:*', '~{fleet}:*', '&*', '+@all', '-@dangerous', '+info', '+config|get'];
  await redis.call('ACL', 'SETUSER', 'fleet', 'on', `>${secrets.redisPassword}`, ...rights);
  collector = await OtlpCollector.start();
  stack = await Stack.start(
    {
      env: {
        ...process.env,
        TAVUS_API_KEY: secrets.tavusKey,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        WORKER_MAX_SESSIONS: '3',
      },
      redisUrl: `redis://fleet:${secrets.redisPassword}@127.0.0.1:${redisServer.port}`,
      logLevel: 'trace',
      onLine: (line) => lines.push(line),
    },
    AbortSignal.timeout(60_000),
  );
  found['apiKey'] = stack.apiKey;
  sim = new SimulatorView(stack.simulator.url);
  await sim.small();
  caller = new Caller(stack.api.url, stack.apiKey);
  const before = await Exposition.of(workerUrl());

  await oneConversation();
  await failures();

  metrics = {
    before,
    worker: await Exposition.of(workerUrl()),
    api: await Exposition.of(stack.api.url, { authorization: `Bearer ${stack.apiKey}` }),
  };
  const ended = (each: readonly CollectedSpan[]): CollectedSpan | undefined =>
    each.find(({ name, attributes }) => name === 'end' && attributes['fleet.conversation_id'] === conversation.id);
  await collector.until((each) => ended(each) !== undefined, AbortSignal.timeout(10_000));
  // Closing hands over what waits, so that nothing of the story is still under way below.
  await stack.close();
  traceId = ended(collector.spans)?.traceId ?? '';
  spans = collector.spans.filter((span) => span.traceId === traceId);
}, 120_000);

afterAll(async () => {
  redis?.disconnect();
  await stack?.close();
  await collector?.[Symbol.asyncDispose]();
  await redisServer?.stop();
});

function workerUrl(): string {
  return stack.workers[0]?.url ?? '';
}

const room = (name: string): { room: { url: string; token: string } } => ({
  room: { url: `${stack.simulator.url}/rooms/${name}`, token: secrets.userRoomToken },
});

/** The main road: asked for, live, speech, words, an entry that is wrong, an interruption, settings, stopped. */
async function oneConversation(): Promise<void> {
  conversation = await caller.start({
    output: room(secrets.userRoom),
    tavus: { conversationalContext: secrets.context, customGreeting: secrets.greeting },
    metadata: { note: secrets.metadata },
  });
  await conversation.untilState('live');
  const producer = new Producer(redisServer.url);
  try {
    await producer.say(conversation.id, chirpWalk({ rate: RATE, ms: 1_000, seed: 3 }), 'live');
    await conversation.until('speech', ({ type }) => type === 'bot-started-speaking');
    const words = {
      message_type: 'conversation',
      event_type: 'conversation.echo',
      properties: { text: secrets.spoken },
    };
    await producer.add(conversation.id, 'type', 'message', 'json', JSON.stringify(words));
    await producer.add(conversation.id, 'type', 'message', 'json', `{"${secrets.malformed}`);
    await producer.add(conversation.id, 'type', 'tts-audio', 'rate', secrets.malformed, 'audio', secrets.malformed);
    await producer.add(conversation.id, 'type', 'interruption');
    await conversation.until('the interruption', ({ type }) => type === 'interrupted');
    found['nonce'] = (await redis.hget(`fleet:{${conversation.id}}:record`, 'ownerNonce')) ?? '';
    found['tavusRoom'] = (await redis.hget(`fleet:{${conversation.id}}:secrets`, 'conversationUrl')) ?? '';
    await conversation.post('stop');
    await conversation.untilEnded();
  } finally {
    producer.close();
  }
}

/** What goes wrong in a fleet's days, with something in it that must not be told. */
async function failures(): Promise<void> {
  // Strangers and careless callers.
  await caller.ask('POST', '/v1/conversations', `{"replicaId": "r", "metadata": ${secrets.badBody}`);
  await caller.ask('POST', '/v1/conversations', { replicaId: 7, [secrets.badField]: secrets.badField });
  await caller.ask('POST', '/v1/conversations', {
    replicaId: 'r',
    output: { room: { url: `https://evil.example/${secrets.badRoom}` } },
  });
  await caller.ask('GET', `/v1/conversations/${secrets.badPath}?cursor=${secrets.badPath}`);
  await new Caller(stack.api.url, secrets.badKey).ask('GET', '/v1/conversations');
  // Tavus fails, and the room throws us out: the next session of the same worker goes on.
  await sim.fault({ fault: 'create-500', count: 3 });
  const refused = await caller.start({ output: room(`${secrets.userRoom}-2`) });
  await refused.untilEnded();
  await sim.heal();
  const ejected = await caller.start({ output: room(`${secrets.userRoom}-3`) });
  await ejected.untilState('live');
  await sim.fault({ fault: 'eject-bot' });
  await ejected.until('the next session', ({ type }) => type === 'takeover');
  takenOverId = ejected.id;
  await ejected.post('cancel');
  await ejected.untilEnded();
  // The queue: data that is no job's, and a room that is not allowed, past the api.
  const queue = new Queue('sessions', { connection: { port: redisServer.port }, prefix: '{fleet}' });
  await queue.add('start', {
    v: 1,
    conversationId: 'bad-job',
    request: { replicaId: 7, [secrets.badJob]: secrets.badJob },
  });
  const request = { replicaId: 'r', output: { room: { url: `https://evil.example/${secrets.badRoom}` } } };
  await queue.add('start', { v: 1, conversationId: 'bad-room', request });
  await eventually(
    'the end of bad-room',
    async () => (await redis.hget('fleet:{bad-room}:record', 'endReason')) === 'user-room-refused',
    10_000,
  );
  await queue.close();
  // Redis answers errors: the driver hangs the arguments of the command on them, which are the record and its secrets.
  await redis.config('SET', 'maxmemory', '1');
  const answer = await caller.ask('POST', '/v1/conversations', {
    replicaId: 'r',
    output: { room: { url: `${stack.simulator.url}/rooms/${secrets.userRoom}`, token: secrets.jsonWebToken } },
    tavus: { customGreeting: secrets.greeting },
  });
  expect(answer.status).toBe(503);
  await redis.config('SET', 'maxmemory', '0');
}

it('leaves one trace from the request to the first picture, and to the end', () => {
  const byName = (name: string): CollectedSpan => {
    const those = spans.filter((span) => span.name === name);
    expect({ name, count: those.length }).toEqual({ name, count: 1 });
    return those[0] as CollectedSpan; // safe: there is one, see above
  };
  const parentOf = (name: string): string | undefined => spans.find(({ id }) => id === byName(name).parentId)?.name;
  const tree = Object.fromEntries(
    [
      'write record',
      'add sessions.start',
      'claim',
      'acquire',
      'start',
      'open page',
      'create tavus conversation',
      'tavus create',
      'join tavus room',
      'first picture',
      'join user room',
      'end',
      'tavus end',
    ].map((name) => [name, parentOf(name)]),
  );
  expect(tree).toEqual({
    'write record': 'POST /v1/conversations',
    'add sessions.start': 'POST /v1/conversations',
    claim: 'add sessions.start',
    acquire: 'claim',
    start: 'claim',
    'open page': 'start',
    'create tavus conversation': 'start',
    'tavus create': 'create tavus conversation',
    'join tavus room': 'start',
    'first picture': 'start',
    'join user room': 'start',
    end: 'claim',
    'tavus end': 'end',
  });
  const request = byName('POST /v1/conversations');
  expect(request).toMatchObject({ service: 'tavus-fleet-api', parentId: undefined, failed: false });
  expect(request.attributes).toMatchObject({ 'http.response.status_code': 202 });
  expect(byName('start')).toMatchObject({ service: 'tavus-fleet-worker', failed: false });
  expect(byName('end').attributes).toMatchObject({ 'fleet.end_reason': 'stopped' });
  const steps = ['acquire', 'open page', 'create tavus conversation', 'join tavus room', 'first picture'];
  const stepsMs = steps.reduce((sum, name) => sum + byName(name).ms, 0);
  figures(
    'trace',
    Object.fromEntries(['claim', ...steps, 'join user room', 'end'].map((n) => [n, Math.round(byName(n).ms)])),
  );
  // They come one after the other, so together they are no longer than what they are parts of, and explain most of it.
  expect(stepsMs).toBeLessThanOrEqual(byName('claim').ms + 5);
  expect(stepsMs).toBeGreaterThan(byName('claim').ms * 0.7);
});

it('goes on in the same trace when another session takes over', () => {
  const starts = collector.spans.filter(
    ({ name, attributes }) => name === 'start' && attributes['fleet.conversation_id'] === takenOverId,
  );
  expect(starts.map(({ attributes }) => Number(attributes['fleet.epoch'])).toSorted((a, b) => a - b)).toEqual([1, 2]);
  expect(new Set(starts.map((span) => span.traceId)).size).toBe(1);
});

it('tells a failure by its code in the trace it belongs to, and begins no trace for housekeeping', () => {
  const roots = collector.spans.filter(({ parentId }) => parentId === undefined).map(({ name }) => name);
  expect([...new Set(roots)].toSorted()).toEqual([
    'POST /v1/conversations',
    'POST /v1/conversations/:conversationId/cancel',
    'POST /v1/conversations/:conversationId/stop',
    'claim',
  ]);
  const creates = collector.spans.filter(({ name }) => name === 'create tavus conversation');
  const failed = creates.filter(({ failed: it }) => it);
  expect(failed.map(({ attributes }) => attributes['error.type'])).toEqual(['tavus-unavailable']);
  const tries = collector.spans.filter(({ name, parentId }) => name === 'tavus create' && parentId === failed[0]?.id);
  expect(tries.map(({ attributes }) => attributes['http.response.status_code'])).toEqual([500, 500, 500]);
});

it('writes nothing secret into any line of any process, and into no span', () => {
  expect(lines.length).toBeGreaterThan(50);
  expect(collector.bodies.length).toBeGreaterThan(1);
  const leaks = Object.entries(found).flatMap(([name, value]) => {
    expect(value.length).toBeGreaterThan(10);
    return [...lines, ...collector.bodies]
      .filter((text) => text.includes(value))
      .map((text) => ({ name, text: text.slice(0, 600) }));
  });
  expect(leaks).toEqual([]);
  // The failures were told, not swallowed.
  const said = lines.join('\n');
  for (const what of ['session ended', 'request failed', 'OOM']) expect(said).toContain(what);
});

it('exposes every documented metric in the process that knows it, moved as it had to', () => {
  const { before, worker, api } = metrics;
  const documented = [
    'fleet_browser_memory_bytes',
    'fleet_conversations',
    'fleet_frame_age_seconds',
    'fleet_frames_dropped_total',
    'fleet_queue_oldest_seconds',
    'fleet_session_end_total',
    'fleet_session_start_seconds',
    'fleet_slots',
    'fleet_takeovers_total',
    'fleet_hand_overs_total',
    'fleet_tavus_requests_total',
    'fleet_tavus_unended',
    'fleet_ttfb_seconds',
  ];
  expect([...worker.names, ...api.names]).toEqual(expect.arrayContaining(documented));
  const seen = (name: string, ...labels: string[]): number | undefined => worker.value(name, ...labels);
  expect(before.value('fleet_slots', 'state="free"')).toBe(3);
  expect(seen('fleet_slots')).toBe(3);
  expect(before.value('fleet_session_start_seconds_count')).toBe(0);
  expect(seen('fleet_session_start_seconds_count')).toBeGreaterThanOrEqual(2);
  expect(seen('fleet_session_start_seconds_sum')).toBeGreaterThan(0.2);
  expect(seen('fleet_session_start_seconds_sum')).toBeLessThan(30);
  expect(seen('fleet_session_end_total', 'reason="stopped"')).toBe(1);
  expect(seen('fleet_session_end_total', 'reason="start-failed"')).toBe(1);
  expect(seen('fleet_session_end_total', 'reason="canceled"')).toBe(1);
  expect(seen('fleet_session_end_total', 'reason="user-room-refused"')).toBe(1);
  expect(seen('fleet_session_end_total')).toBe(4);
  expect(seen('fleet_ttfb_seconds_count')).toBe(1);
  expect(seen('fleet_ttfb_seconds_sum')).toBeCloseTo(Number(conversation.ttfb[0]) / 1_000, 2);
  expect(seen('fleet_frame_age_seconds_count')).toBeGreaterThan(10);
  expect(seen('fleet_frame_age_seconds_sum')).toBeLessThan(10);
  expect(seen('fleet_tavus_requests_total', 'route="create"', 'status="200"')).toBe(2);
  expect(seen('fleet_tavus_requests_total', 'route="create"', 'status="500"')).toBe(3);
  expect(seen('fleet_tavus_requests_total', 'route="end"', 'status="200"')).toBe(2);
  // Counts what was taken over from a lost owner; here the same worker went on.
  expect(seen('fleet_takeovers_total')).toBe(0);
  expect(seen('fleet_browser_memory_bytes')).toBeGreaterThan(30 * 1024 * 1024);
  expect(seen('fleet_browser_memory_bytes')).toBeLessThan(3 * 1024 ** 3);
  expect(api.value('fleet_queue_oldest_seconds')).toBe(0);
  // Ids are never labels: each label is a short word.
  for (const label of [...worker.labels, ...api.labels]) {
    if (label.startsWith('le=')) continue;
    expect(label).toMatch(/^[a-z]+="[a-z0-9-]{1,24}"$/);
    expect(label).not.toContain(conversation.id.slice(0, 8));
  }
});
