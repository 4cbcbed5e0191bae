// Sentinel and Cluster, real ones: everything the fleet asks of Redis works there, and goes on when a master is killed under it.
import { StartRequest } from '@tavus-fleet/contracts';
import { withDeadline } from '@tavus-fleet/lifecycle';
import { FaultProxy, RedisCluster, RedisSentinels } from '@tavus-fleet/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isRedisDown } from './call.ts';
import { ClusterStreamReader } from './cluster-stream-reader.ts';
import { connectRedis, ensureConnected, type RedisConnection, type RedisRole } from './connect.ts';
import { EventLog } from './events.ts';
import { addFrame, addNumberedFrame } from './frames-out.ts';
import { everyMaster, RedisHealth } from './health.ts';
import { Idempotency } from './idempotency.ts';
import { createKeys } from './keys.ts';
import { Leases } from './leases.ts';
import { Ledger } from './ledger.ts';
import { silentLog } from './log.ts';
import { Queues } from './queues.ts';
import { Records } from './records.ts';
import { StreamReader, type StreamSource } from './stream-reader.ts';
import { WorkerRegistry } from './workers.ts';

const keys = createKeys('fleet');
const request = StartRequest.parse({ replicaId: 'r' });

const inWords = (error: unknown): string => (isRedisDown(error) ? 'silent' : String(error));

describe.each(['sentinel', 'cluster'] as const)('on %s', (kind) => {
  let servers: RedisSentinels | RedisCluster;
  let held: AsyncDisposableStack;
  let commands: RedisConnection;
  let records: Records;
  let leases: Leases;
  let source: StreamSource & { close(): Promise<void> };
  let queues: Queues;

  const connect = (role: RedisRole, name: string): RedisConnection =>
    held.adopt(connectRedis(servers.url, { role, name, log: silentLog }), (connection) => connection.disconnect());

  beforeAll(async () => {
    held = new AsyncDisposableStack();
    servers = held.use(kind === 'sentinel' ? await RedisSentinels.start() : await RedisCluster.start());
    commands = connect('commands', 'commands');
    records = new Records(commands, keys, silentLog, { waitForReplica: true });
    leases = new Leases({ commands, lease: connect('lease', 'lease'), keys, waitForReplica: true });
    const blocking = (): RedisConnection => connectRedis(servers.url, { role: 'blocking', name: 'b', log: silentLog });
    source =
      kind === 'cluster'
        ? new ClusterStreamReader(blocking)
        : new StreamReader({ blocking: blocking(), bell: { key: keys.bell('w'), commands } });
    held.defer(() => source.close());
    queues = held.adopt(new Queues(servers.url, 'fleet'), (it) => it.close());
  }, 60_000);

  afterAll(() => held?.disposeAsync(), 60_000);

  it('runs every script and every call of a conversation’s life', async () => {
    const id = 'life';
    const seen: string[] = [];
    const { record } = await records.create({ request, createdBy: 'k', conversationId: id });
    expect(record.state).toBe('queued');
    source.subscribe(keys.conversation(id).frames, '0', (entries) => seen.push(...entries.map((entry) => entry.id)));
    const acquired = await leases.acquire(id, 'w1');
    if ('refused' in acquired) throw new Error(acquired.refused);
    const { ownership } = acquired;
    expect((await leases.renewAll([ownership])).get(id)).toEqual({ status: 'held' });
    expect(await records.move(ownership, 'starting')).toBe('moved');
    expect(await records.saveSecrets(ownership, { conversationUrl: 'https://tavus.daily.co/x' })).toBe('saved');
    expect(await records.patch(ownership, { tavusConversationId: 'c1' })).toBe('patched');
    expect(await records.move(ownership, 'live')).toBe('moved');
    const added = await addFrame(commands, keys, id, { type: 'tts-started' });
    const numbered = await addNumberedFrame(commands, keys, id, { type: 'tts-stopped' }, { producer: 'p', number: 1 });
    await expect.poll(() => seen, { timeout: 5_000 }).toEqual([added, numbered]);
    await records.updateSettings(id, { model: 'm' });
    const events = new EventLog(commands, keys, silentLog);
    expect(await events.append(ownership, { type: 'bot-started-speaking', data: { source: 'audio' } })).toBeDefined();
    expect(await records.desire(id, 'stop')).toBe('accepted');
    expect(await records.end(ownership, 'stopped')).toBe('moved');
    expect(await leases.release(ownership)).toBe('released');
    expect(await leases.expired()).toEqual([]);
    expect((await records.list({ createdBy: 'k', limit: 10 })).records.map((each) => each.conversationId)).toContain(
      id,
    );
    await records.create({ request, createdBy: 'k', conversationId: 'late' });
    expect(await records.failUnowned('late', 'start-timeout')).toBe('ended');
    const claim = { createdBy: 'k', idempotencyKey: 'i', requestHash: 'h', conversationId: id };
    expect((await new Idempotency(commands, keys).claim(claim)).outcome).toBe('new');
    const registry = new WorkerRegistry(commands, keys);
    const since = new Date().toISOString();
    const worker = { id: 'w1', capacity: 1, live: 0, load: 0, draining: false, version: '0', since, url: 'http://x' };
    await registry.heartbeat(worker);
    expect((await registry.list()).map((each) => each.id)).toEqual(['w1']);
    expect(await registry.requestDrain('w1')).toBe('requested');
    const ledger = new Ledger(commands, keys);
    const intent = { conversationId: id, epoch: 1, attempt: 1, name: 'n', workerId: 'w1' };
    await ledger.intend(intent, 10);
    await ledger.adopted(intent, 'c1');
    expect((await ledger.open()).map((row) => row.name)).toEqual(['n']);
    await ledger.closed('n');
    expect(await queues.enqueue('start', { v: 1, conversationId: id })).not.toBe('');
    expect(await queues.enqueue('cancel', { v: 1, conversationId: id })).not.toBe('');
  });

  it.runIf(kind === 'cluster')(
    'used first while the cluster is down, a connection says so in time and serves later',
    async () => {
      if (!(servers instanceof RedisCluster)) throw new Error('This is for a Cluster.');
      const id = 'down';
      await records.create({ request, createdBy: 'k', conversationId: id });
      const acquired = await leases.acquire(id, 'w1');
      if ('refused' in acquired) throw new Error(acquired.refused);
      const fresh = connect('commands', 'fresh commands');
      const own = new Leases({ commands: fresh, lease: connect('lease', 'fresh lease'), keys });
      const renewed = async (): Promise<string> =>
        own.renewAll([acquired.ownership]).then((all) => all.get(id)?.status ?? '', inWords);
      const asked = async (): Promise<string> => own.retake(acquired.ownership).then(({ status }) => status, inWords);
      const written = async (): Promise<string> => fresh.set('{fleet}:late', '1').catch(inWords);
      {
        await using _down = await servers.loseMajority();
        for (const ask of [renewed, asked, written, renewed])
          expect(await withDeadline({ ms: 2_500, what: 'An answer' }, ask)).toBe('silent');
      }
      await expect.poll(renewed, { timeout: 5_000, interval: 50 }).toBe('held');
      await expect.poll(asked, { timeout: 5_000, interval: 50 }).toBe('held');
      expect(await fresh.get('{fleet}:late')).toBeNull(); // its caller was told that it failed
    },
  );

  it.runIf(kind === 'sentinel')(
    'a connection is there again after a failover though the sentinel that it asks hangs',
    async () => {
      if (!(servers instanceof RedisSentinels)) throw new Error('This is for Sentinel.');
      const [first, ...others] = servers.sentinels.map(({ port }) => port);
      await using way = await FaultProxy.start(first ?? 0);
      const hosts = [way.port, ...others].map((port) => `127.0.0.1:${port}`).join(',');
      const url = `redis+sentinel://${hosts}/${servers.name}`;
      const connections = (['commands', 'queue', 'lease'] as const).map((role) =>
        held.adopt(connectRedis(url, { role, name: role, log: silentLog }), (each) => each.disconnect()),
      );
      const answers = (): Promise<string[]> => Promise.all(connections.map(async (each) => each.ping().catch(String)));
      await Promise.all(connections.map(ensureConnected));
      await expect.poll(answers, { timeout: 3_000 }).toEqual(connections.map(() => 'PONG'));
      way.silence();
      await servers.failover();
      await expect.poll(answers, { timeout: 5_000 }).toEqual(connections.map(() => 'PONG'));
    },
  );

  it('goes on after the loss of a master: same owner, nothing read twice or lost, jobs go in', async () => {
    const id = 'survivor';
    const { frames, record } = keys.conversation(id);
    const health = new RedisHealth(everyMaster(connect('commands', 'health')));
    await records.create({ request, createdBy: 'k', conversationId: id });
    const acquired = await leases.acquire(id, 'w1');
    if ('refused' in acquired) throw new Error(acquired.refused);
    const { ownership } = acquired;
    const seen: string[] = [];
    source.subscribe(frames, '0', (entries) => seen.push(...entries.map((entry) => entry.id)));
    const kept: string[] = [];
    const under = new AbortController();
    held.defer(() => under.abort());
    // Load: what was answered counts as accepted.
    const load = (async () => {
      for (let n = 0; !under.signal.aborted; n += 1)
        await addFrame(commands, keys, id, { type: 'message', message: { n } }).then(
          (entry) => kept.push(entry),
          () => undefined, // refused, not accepted: its caller is told
        );
    })();
    await expect.poll(() => seen.length).toBeGreaterThan(20);
    const others = await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f'].map(async (other) => {
        await records.create({ request, createdBy: 'k', conversationId: other });
        const owned = await leases.acquire(other, 'w1');
        if ('refused' in owned) throw new Error(owned.refused);
        return owned.ownership;
      }),
    );
    health.start();
    await expect.poll(() => health.steadyMs).toBeGreaterThan(0);
    const killedAt = performance.now();
    const away = servers instanceof RedisCluster ? servers.killMasterOf(record) : servers.failover();
    // Of several masters the others hold theirs meanwhile; of one nobody does.
    const known = async (): Promise<string> => {
      const answer = await leases.renewAll([ownership, ...others]);
      return answer.has(id) ? 'all' : [...answer.values()].map(({ status }) => status).join(' ');
    };
    const meanwhile = kind === 'cluster' ? /^held/ : /^none$/;
    await expect.poll(() => known().catch(() => 'none'), { timeout: 3_000 }).toMatch(meanwhile);
    await away;
    const backAt = performance.now();
    // What a sweeper believes: that nobody could renew meanwhile.
    expect(health.steadyMs).toBeLessThan(backAt - killedAt);
    const renewed = async (): Promise<string> => (await leases.renewAll([ownership])).get(id)?.status ?? '';
    await expect.poll(() => renewed().catch(() => 'silent'), { timeout: 5_000, interval: 50 }).toBe('held');
    const renewedMs = Math.round(performance.now() - backAt);
    const before = kept.length;
    await expect.poll(() => kept.length, { timeout: 5_000 }).toBeGreaterThan(before + 5);
    under.abort();
    await load;
    const last = await addFrame(commands, keys, id, { type: 'tts-started' });
    await expect.poll(() => seen.at(-1), { timeout: 5_000 }).toBe(last);
    const readMs = Math.round(performance.now() - backAt);
    expect(new Set(seen).size).toBe(seen.length);
    // Replication is asynchronous: the last entries before the kill may be gone with the old master, everything since is there.
    const there = new Set(seen);
    const lost = kept.filter((entry) => !there.has(entry));
    const enqueue = (): Promise<string> => queues.enqueue('start', { v: 1, conversationId: 'after' });
    await expect.poll(() => enqueue().catch(() => ''), { timeout: 3_000, interval: 50 }).not.toBe('');
    const enqueuedMs = Math.round(performance.now() - backAt);
    process.stdout.write(
      `figures ${kind} ${JSON.stringify({ renewedMs, readMs, enqueuedMs, kept: kept.length, lost: lost.length })}\n`,
    );
    expect(lost.length).toBeLessThanOrEqual(5);
    await expect.poll(() => health.up, { timeout: 3_000 }).toBe(true);
    health.close();
    expect(renewedMs).toBeLessThan(3_000);
  });
});
