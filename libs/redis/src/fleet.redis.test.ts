import { EndReason, StartRequest } from '@tavus-fleet/contracts';
import { redisFixture, startRedis } from '@tavus-fleet/testkit';
import { UnrecoverableError, Worker } from 'bullmq';
import { describe, expect, it } from 'vitest';
import { EventLog, parseEvent } from './events.ts';
import { connectRedis } from './connect.ts';
import { acceptedOf, addFrame, addNumberedFrame } from './frames-out.ts';
import { RedisHealth, serverInfo } from './health.ts';
import { Idempotency } from './idempotency.ts';
import { Janitor } from './janitor.ts';
import { createKeys } from './keys.ts';
import { Ledger, type LedgerIntent } from './ledger.ts';
import { Leases } from './leases.ts';
import { silentLog } from './log.ts';
import { queueConnection, Queues } from './queues.ts';
import { Records } from './records.ts';
import { tavusName } from './tavus-name.ts';
import { WorkerRegistry } from './workers.ts';

// The ledger is about money and never expires. BullMQ keeps a job by age and count, which it enforces itself.
const fixture = redisFixture({ allow: /:(record|frames|events|ledger)$|:(sessions|control):/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);

describe('ledger', () => {
  const intent = (n: number): LedgerIntent => ({
    conversationId: `c${n}`,
    epoch: 1,
    attempt: 1,
    workerId: 'w1',
    name: tavusName({ base: '', fleetId: 'f', conversationId: `c${n}`, epoch: 1, attempt: 1 }),
  });

  it('of 2K intents at once takes K, 20 rounds', async () => {
    const rivals = Array.from({ length: 8 }, () => new Ledger(fixture.connect(), keys));
    const slots = 25;
    for (let round = 0; round < 20; round += 1) {
      const intents = Array.from({ length: slots * 2 }, (_, n) => intent(round * 1000 + n));
      const outcomes = await Promise.all(
        intents.map((each, n) => (rivals[n % 8] ?? new Ledger(redis, keys)).intend(each, slots)),
      );
      expect(outcomes.filter((each) => each === 'ok')).toHaveLength(slots);
      const rows = await new Ledger(redis, keys).open();
      expect(rows).toHaveLength(slots);
      await Promise.all(rows.map((row) => new Ledger(redis, keys).closed(row.name)));
    }
  });

  it('keeps a row from intent over adoption to its end', async () => {
    const ledger = new Ledger(redis, keys);
    const each = intent(1);
    expect(await ledger.intend(each, 1)).toBe('ok');
    expect(await ledger.intend(each, 1)).toBe('ok');
    expect(await ledger.intend(intent(2), 1)).toBe('full');
    await ledger.adopted(each, 'tv1');
    const [row] = await ledger.open();
    expect(row).toMatchObject({ ...each, tavusConversationId: 'tv1' });
    expect(Math.abs((row?.intendedAt ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(await ledger.closed(each.name)).toBe(true);
    expect(await ledger.closed(each.name)).toBe(false);
  });

  it('writes an adopted row anew after data was lost, and leaves out a malformed one', async () => {
    const ledger = new Ledger(redis, keys);
    await ledger.adopted(intent(3), 'tv3');
    await redis.hset(keys.fleet.ledger, 'broken', '{');
    expect((await ledger.open()).map((row) => row.tavusConversationId)).toEqual(['tv3']);
    expect(await ledger.size()).toBe(2);
    await ledger.closed(intent(3).name);
    await ledger.closed('broken');
  });
});

describe('workers', () => {
  const view = (id: string) => ({
    id,
    capacity: 4,
    live: 1,
    load: 0.25,
    draining: false,
    version: '1',
    since: '2026-01-01T00:00:00Z',
    url: 'http://127.0.0.1:1',
  });

  it('lists who has been heard of lately, and carries a drain request to it', async () => {
    const registry = new WorkerRegistry(redis, keys);
    expect(await registry.requestDrain('w1')).toBe('absent');
    expect(await registry.heartbeat(view('w1'))).toEqual({ drain: false });
    await registry.heartbeat(view('w0'));
    expect((await registry.list()).map((worker) => worker.id)).toEqual(['w0', 'w1']);
    expect(await registry.requestDrain('w1')).toBe('requested');
    expect(await registry.heartbeat(view('w1'))).toEqual({ drain: true });
    await registry.remove('w1');
    expect(await registry.heartbeat(view('w1'))).toEqual({ drain: false });
    const late = new WorkerRegistry(redis, keys, { aliveMs: 20 });
    await expect.poll(() => late.list(), { interval: 10 }).toEqual([]);
    await redis.hset(keys.fleet.workers, 'w1', 'nonsense');
    expect((await registry.list()).map((worker) => worker.id)).toEqual(['w0']);
  });
});

describe('idempotency', () => {
  it('of 50 at once one is new, the others get its conversation; another request is told apart; for a day', async () => {
    const idempotency = new Idempotency(redis, keys);
    const claim = (n: number, requestHash = 'h1', createdBy = 'k') =>
      idempotency.claim({ createdBy, idempotencyKey: 'a b\n', requestHash, conversationId: `c${n}` });
    const claims = await Promise.all(Array.from({ length: 50 }, (_, n) => claim(n)));
    expect(claims.filter((each) => each.outcome === 'new')).toHaveLength(1);
    expect(new Set(claims.map((each) => each.conversationId)).size).toBe(1);
    expect(await claim(99, 'h2')).toEqual({ outcome: 'different', conversationId: claims[0]?.conversationId });
    expect(await claim(99, 'h1', 'other')).toEqual({ outcome: 'new', conversationId: 'c99' });
    expect(await redis.ttl(keys.fleet.idempotency('k', 'a b\n'))).toBeGreaterThan(86_000);
  });
});

describe('events and frames', () => {
  it('reads back what the owner said, in order, bounded, without what is malformed', async () => {
    const records = new Records(redis, keys);
    const events = new EventLog(redis, keys);
    await records.create({ request: StartRequest.parse({ replicaId: 'r' }), createdBy: 'k', conversationId: 'e1' });
    const acquired = await new Leases({ commands: redis, lease: redis, keys }).acquire('e1', 'w1');
    if (!('ownership' in acquired)) throw new Error(acquired.refused);
    const owner = acquired.ownership;
    expect(await events.append(owner, { type: 'interrupted', data: { playedMs: 5, droppedMs: 7 } })).toMatch(
      /^\d+-\d+$/,
    );
    expect(
      await events.appendUnowned('e1', { type: 'error', data: { code: 'x', category: 'server', fatal: false } }),
    ).toMatch(/^\d+-\d+$/);
    expect(await events.appendUnowned('never', { type: 'ended', data: { endReason: 'idle' } })).toBeUndefined();
    await redis.xadd(keys.conversation('e1').events, '*', 'type', 'state', 'at', 'x', 'epoch', '1', 'json', '{}');
    const { events: read, lastId } = await events.read('e1', '0', 10);
    expect(read.map((event) => [event.type, event.epoch])).toEqual([
      ['state', 0],
      ['interrupted', 1],
      ['error', 0],
    ]);
    expect(lastId).toBe(await events.lastId('e1'));
    expect(await events.newestOf('e1', ['interrupted', 'state'])).toMatchObject({ type: 'interrupted', epoch: 1 });
    expect(await events.newestOf('e1', ['ended'])).toBeUndefined();
    expect((await events.read('e1', read[0]?.id ?? '', 1)).events[0]?.type).toBe('interrupted');
    // @ts-expect-error: a payload that its schema refuses, as a mistake in a caller would send it
    await expect(events.append(owner, { type: 'ended', data: { endReason: 'bored' } })).rejects.toMatchObject({
      code: 'internal',
    });
    for (let n = 0; n < 2300; n += 1)
      await events.append(owner, { type: 'interrupted', data: { playedMs: n, droppedMs: 0 } });
    expect(await redis.xlen(keys.conversation('e1').events)).toBeLessThan(2200);
    expect(EndReason.options).toContain('idle');
  });

  it('names what is wrong with an event', () => {
    const entry = (fields: Record<string, string>) => ({
      id: '1-0',
      fields: new Map(Object.entries(fields).map(([k, v]) => [k, Buffer.from(v)])),
    });
    const good = { type: 'ended', at: '5', epoch: '1', json: '{"endReason":"idle"}' };
    expect(parseEvent(entry(good))).toEqual({ id: '1-0', at: 5, epoch: 1, type: 'ended', data: { endReason: 'idle' } });
    for (const field of ['type', 'at', 'epoch', 'json']) {
      expect(() => parseEvent(entry({ ...good, [field]: 'x' }))).toThrow(expect.objectContaining({ field }));
    }
  });

  it('writes frames as any producer would, and refuses a malformed one', async () => {
    const audio = new Uint8Array([0, 255, 1, 254]);
    const id = await addFrame(redis, keys, 'f1', { type: 'tts-audio', rate: 24_000, channels: 1, audio });
    const [entry] = await redis.xrangeBuffer(keys.conversation('f1').frames, '-', '+');
    expect(entry?.[0].toString()).toBe(id);
    expect(entry?.[1].at(-1)).toEqual(Buffer.from(audio));
    await expect(addFrame(redis, keys, 'f1', { type: 'tts-audio', rate: 1, channels: 1, audio })).rejects.toMatchObject(
      { code: 'malformed-frame', field: 'rate' },
    );
    await expect(addFrame(redis, keys, '{x}', { type: 'end' })).rejects.toMatchObject({ code: 'invalid-request' });
  });

  it('adds a numbered frame once, however often and in whatever crowd it is sent; each producer counts for itself', async () => {
    const audio = new Uint8Array([0, 255, 1, 254]);
    const add = (producer: string, number: number) =>
      addNumberedFrame(
        redis,
        keys,
        'n1',
        { type: 'tts-audio', rate: 24_000, channels: 1, audio },
        { producer, number },
      );
    expect(await acceptedOf(redis, keys, 'n1', 'a')).toBe(0);
    const crowd = await Promise.all(Array.from({ length: 20 }, () => add('a', 1)));
    expect(crowd.filter((id) => id !== undefined)).toHaveLength(1);
    expect(await add('a', 2)).toMatch(/^\d+-\d+$/);
    expect(await add('a', 1)).toBeUndefined();
    expect(await add('b', 1)).toMatch(/^\d+-\d+$/);
    expect([await acceptedOf(redis, keys, 'n1', 'a'), await acceptedOf(redis, keys, 'n1', 'b')]).toEqual([2, 1]);
    const entries = await redis.xrangeBuffer(keys.conversation('n1').frames, '-', '+');
    expect(entries.map(([, fields]) => fields.at(-1))).toEqual(Array.from({ length: 3 }, () => Buffer.from(audio)));
    expect(await redis.ttl(keys.conversation('n1').producers)).toBeGreaterThan(0);
  });
});

describe('janitor', () => {
  it('gives a TTL to frames that belong to no conversation, and to those only', async () => {
    const records = new Records(redis, keys);
    const frames = (id: string): string => keys.conversation(id).frames;
    for (const id of ['j-queued', 'j-ended', 'j-none', 'j-timed']) await addFrame(redis, keys, id, { type: 'end' });
    await redis.expire(frames('j-timed'), 100);
    const request = StartRequest.parse({ replicaId: 'r' });
    for (const conversationId of ['j-queued', 'j-ended'])
      await records.create({ request, createdBy: 'k', conversationId });
    await redis.del(frames('j-ended'));
    await records.desire('j-ended', 'stop');
    await addFrame(redis, keys, 'j-ended', { type: 'tts-stopped' });
    const janitor = new Janitor(redis, keys);
    await expect
      .poll(async () => {
        await janitor.step();
        return Promise.all(['j-ended', 'j-none'].map((id) => redis.ttl(frames(id))));
      })
      .toEqual([expect.closeTo(3600, -2), expect.closeTo(3600, -2)]);
    expect(await redis.ttl(frames('j-queued'))).toBe(-1);
    expect(await redis.ttl(frames('j-timed'))).toBeLessThanOrEqual(100);
  });
});

describe('queues', () => {
  it('wakes a worker by the names and shapes of the catalog', async () => {
    const queues = new Queues(fixture.url, fixture.keyPrefix);
    const connection = queueConnection(fixture.url, { role: 'worker', name: 'w' });
    const taken: unknown[] = [];
    const worker = new Worker('sessions', async (job) => void taken.push([job.name, job.data, job.opts.attempts]), {
      connection,
      prefix: `{${fixture.keyPrefix}}`,
    });
    await Promise.all([1, 2, 3].map(() => queues.enqueue('start', { v: 1, conversationId: 'q1' })));
    await queues.enqueue('start', { v: 1, conversationId: 'q2' }, { urgent: true });
    await expect.poll(() => taken.length, { timeout: 5000 }).toBe(2);
    expect(taken).toContainEqual(['start', { v: 1, conversationId: 'q1' }, 3]);
    await queues.enqueue('stop', { v: 1, conversationId: 'q1', reason: 'bye' });
    expect(await queues.control.getWaitingCount()).toBe(1);
    // @ts-expect-error: not what the catalog says
    await expect(queues.enqueue('stop', { v: 2, conversationId: 'q1' })).rejects.toMatchObject({
      code: 'invalid-request',
      field: 'v',
    });
    await worker.close();
    connection.disconnect();
    await queues.close();
    await queues.close();
    await expect(queues.enqueue('cancel', { v: 1, conversationId: 'q1' })).rejects.toMatchObject({
      code: 'shutting-down',
    });
  });

  it('knows which conversations have a start that waits or is being run, and whether the next one is urgent', async () => {
    const queues = new Queues(fixture.url, fixture.keyPrefix);
    const start = (id: string, urgent = false) => queues.enqueue('start', { v: 1, conversationId: id }, { urgent });
    await queues.sessions.obliterate({ force: true });
    await start('s1');
    await start('s1'); // the same one
    await start('s2');
    expect(await queues.sessions.getWaitingCount()).toBe(2);
    expect(await queues.withoutStart(['s1', 's2', 's3'])).toEqual(['s3']);
    expect(await queues.urgentFirst()).toBe(false);
    await start('s2', true); // not swallowed by the one that waits
    expect(await queues.urgentFirst()).toBe(true);
    const connection = queueConnection(fixture.url, { role: 'worker', name: 'w' });
    const worker = new Worker('sessions', null, { connection, prefix: `{${fixture.keyPrefix}}`, autorun: false });
    const taken = [await worker.getNextJob('t'), await worker.getNextJob('t'), await worker.getNextJob('t')];
    expect(await queues.withoutStart(['s1', 's2'])).toEqual([]);
    await taken[1]?.moveToCompleted(null, 't', false);
    await taken[2]?.moveToFailed(new UnrecoverableError('no'), 't', false);
    expect(await queues.withoutStart(['s1', 's2'])).toEqual(['s1', 's2']);
    await start('s1');
    // BullMQ's keys are lost, our record of the conversation is not.
    for (const key of await redis.keys(`{${fixture.keyPrefix}}:sessions:*`))
      if (!/:de:/.test(key)) await redis.del(key);
    expect(await queues.withoutStart(['s1'])).toEqual(['s1']);
    await start('s1');
    expect(await queues.withoutStart(['s1'])).toEqual([]);
    await worker.close(true);
    connection.disconnect();
    await queues.close();
  });

  it('without Redis refuses in time, and works once it is there', async () => {
    const server = await startRedis();
    await server.kill();
    const queues = new Queues(server.url, fixture.keyPrefix);
    const asked = performance.now();
    await expect(queues.enqueue('start', { v: 1, conversationId: 'q1' })).rejects.toMatchObject({
      code: 'redis-unavailable',
    });
    expect(performance.now() - asked).toBeLessThan(4000);
    await server.restart();
    const added = () => queues.enqueue('start', { v: 1, conversationId: 'q1' }).catch(() => '');
    await expect.poll(added, { timeout: 8000, interval: 50 }).not.toBe('');
    await queues.close();
    await server.stop();
  });
});

describe('health', () => {
  it('says what the server is', async () => {
    expect(await serverInfo(redis)).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+/),
      maxmemoryPolicy: 'noeviction',
    });
  });

  it('is down while Redis is, and steady only from its return', async () => {
    const server = await startRedis();
    const connection = connectRedis(server.url, { role: 'commands', name: 'health', log: silentLog });
    const health = new RedisHealth(connection, { everyMs: 50 });
    expect([health.up, health.steadyMs]).toEqual([false, 0]);
    health.start();
    await expect.poll(() => health.steadyMs, { timeout: 3000 }).toBeGreaterThan(200);
    await server.pause();
    await expect.poll(() => [health.up, health.steadyMs], { timeout: 3000 }).toEqual([false, 0]);
    await server.resume();
    await expect.poll(() => health.up, { timeout: 8000 }).toBe(true);
    expect(health.steadyMs).toBeLessThan(1000);
    health.close();
    health.close();
    connection.disconnect();
    await server.stop();
  });

  it('a command fails within its deadline while Redis is away, and nothing is sent twice when it returns', async () => {
    const server = await startRedis({ appendOnly: true });
    const connection = connectRedis(server.url, { role: 'commands', name: 'c', log: silentLog });
    await connection.incr('n');
    await server.kill();
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => connection.incr('n')));
    expect(outcomes.every((each) => each.status === 'rejected')).toBe(true);
    await server.restart();
    await expect.poll(() => connection.get('n').catch(() => null), { timeout: 8000 }).toBe('1');
    connection.disconnect();
    await server.stop();
  });
});
