// What costs money for nobody is found by its name and ended, whatever was lost on the way: an answer, a row, a record, all of Redis.
// What is not ours, or is somebody's, is left alone. The simulator's meter is the judge.
import { randomUUID } from 'node:crypto';
import { createTavusClient } from '@tavus-fleet/tavus';
import { tavusName } from '@tavus-fleet/redis';
import { BareSimulator } from '@tavus-fleet/simulator/bare';
import { redisFixture, startRedis } from '@tavus-fleet/testkit';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FleetWorld } from './fixtures/fleet-world.ts';

const fixture = redisFixture({ allow: /./ }); // conversations run here: what they leave is the other tests' business
/** The product's half minutes, a hundred times faster. */
const reaping = { everyMs: 100, askEveryMs: 30, confirmMs: 300, settleMs: 400 };
const SOON = { timeout: 10_000, interval: 20 };
const signal = new AbortController().signal;

let tavus: BareSimulator;
const worlds: FleetWorld[] = [];

beforeAll(async () => {
  tavus = await BareSimulator.start();
});

afterEach(async () => {
  for (const world of worlds.splice(0)) await world[Symbol.asyncDispose]();
  tavus.heal();
});

afterAll(async () => {
  await tavus[Symbol.asyncDispose]();
});

async function fleet(fleetId: string, more: Partial<Parameters<typeof FleetWorld.start>[0]> = {}): Promise<FleetWorld> {
  const keyPrefix = `${fixture.keyPrefix}-${randomUUID().slice(0, 8)}`;
  const redis = fixture.connect();
  const world = await FleetWorld.start({ redisUrl: fixture.url, keyPrefix, redis, fleetId, tavus, reaping, ...more });
  worlds.push(world);
  return world;
}

/** A conversation at Tavus that somebody made by hand. */
async function make(conversationName: string): Promise<string> {
  const client = createTavusClient({ baseUrl: tavus.url, apiKey: 'any', names: 'replica' });
  const request = { replicaId: 'r1', personaId: 'pipecat-stream', conversationName };
  const { conversationId } = await client.createConversation(request, { epoch: 1, signal });
  await client.close();
  return conversationId;
}

async function end(ids: readonly string[]): Promise<void> {
  const client = createTavusClient({ baseUrl: tavus.url, apiKey: 'any', names: 'replica' });
  await Promise.all(ids.map((id) => client.endConversation(id, { epoch: 1, signal })));
  await client.close();
}

const orphanOf = (fleetId: string, n = 1): string =>
  tavusName({ base: 'Support', fleetId, conversationId: `orphan-${n}`, epoch: 1, attempt: 1 });

describe('two fleets on one Tavus account', () => {
  it('each ends the orphans of its own name, in both directions, and nobody else’s', async () => {
    const strangers = await Promise.all(
      ['Weekly call', '[tf:a:c1:1.1] and more', '[tf:a2:c1:1.1]', 'x[tf:a:c1:1.1]', '[tf:a:c1:1]'].map(make),
    );
    const ofB = await Promise.all(Array.from({ length: 20 }, (_, n) => make(orphanOf('b', n))));
    const ofA = await Promise.all(Array.from({ length: 20 }, (_, n) => make(orphanOf('a', n))));
    const a = await fleet('a', { workers: 2 });
    const live = await a.start();
    await expect.poll(async () => (await a.view(live)).state, SOON).toBe('live');
    await expect.poll(() => ofA.filter((id) => tavus.unended.includes(id)), SOON).toEqual([]);
    expect([...strangers, ...ofB].filter((id) => !tavus.unended.includes(id))).toEqual([]);
    const b = await fleet('b');
    await expect.poll(() => ofB.filter((id) => tavus.unended.includes(id)), SOON).toEqual([]);
    expect(strangers.filter((id) => !tavus.unended.includes(id))).toEqual([]);
    expect((await a.view(live)).state).toBe('live');
    await expect.poll(async () => (await b.workers[0]?.parts.notes.audit())?.unended, SOON).toBe(0);
    await a.verb(live, 'cancel');
    await expect.poll(() => a.open(), SOON).toEqual(strangers.map((id) => `Tavus ${id}`));
    await end(strangers);
    expect(a.judge().stale).toEqual([]);
  });
});

describe('rows of the ledger', () => {
  const intent = { conversationId: 'c-row', epoch: 1, attempt: 1, workerId: 'w-dead', name: '' };

  it('whose create never happened is closed, and one that did happen is ended', async () => {
    const world = await fleet('rows');
    const row = (n: number) => ({ ...intent, conversationId: `never-${n}`, name: orphanOf('rows', n) });
    const old = (Date.now() - 60_000).toString();
    const made = await make(row(2).name);
    for (const n of [1, 2]) {
      const stored = { ...row(n), intendedAt: Number(old) };
      await world.redis.hset(world.keys.fleet.ledger, row(n).name, JSON.stringify(stored));
    }
    await expect.poll(() => world.ledger.size(), SOON).toBe(0);
    expect(tavus.unended).not.toContain(made);
  });

  it('of another FLEET_ID in the same Redis is not touched', async () => {
    const world = await fleet('renamed');
    const name = orphanOf('before', 1);
    const made = await make(name);
    await world.ledger.adopted({ ...intent, name }, made);
    const ours = await make(orphanOf('renamed', 1));
    await expect.poll(() => tavus.unended.includes(ours), SOON).toBe(false);
    expect(tavus.unended).toContain(made);
    expect(await world.ledger.size()).toBe(1);
    await end([made]);
  });

  it('that outlived their conversation are ended until Tavus says so, and counted until then', async () => {
    const world = await fleet('late');
    const id = await world.start();
    await expect.poll(async () => (await world.view(id)).state, SOON).toBe('live');
    const left = { ...intent, conversationId: id, name: orphanOf('late', 7) };
    const made = await make(left.name);
    await world.ledger.adopted(left, made);
    tavus.fault({ fault: 'end-fails', match: left.name, count: 6 }); // an end tries five times before it waits for the next pass
    await world.verb(id, 'cancel');
    await expect.poll(async () => (await world.workers[0]?.parts.notes.audit())?.unended, SOON).toBe(1);
    await expect.poll(() => world.open(), { timeout: 60_000, interval: 50 }).toEqual([]);
    await expect.poll(async () => (await world.workers[0]?.parts.notes.audit())?.unended, SOON).toBe(0);
    expect(world.judge().stale).toEqual([]);
  });

  it('that Redis forgot are written again by their owner, and the conversation goes on', async () => {
    const world = await fleet('forgot');
    const id = await world.start();
    await expect.poll(async () => (await world.view(id)).state, SOON).toBe('live');
    const [before] = await world.ledger.open();
    await world.redis.del(world.keys.fleet.ledger);
    await expect
      .poll(async () => (await world.ledger.open())[0]?.tavusConversationId, SOON)
      .toBe(before?.tavusConversationId);
    expect((await world.view(id)).state).toBe('live');
    await world.verb(id, 'cancel');
    await expect.poll(() => world.open(), SOON).toEqual([]);
  });
});

it('after Redis has lost everything, what ran is ended and nothing of it stays', async () => {
  const server = await startRedis();
  const redis = new Redis(server.url);
  try {
    const world = await fleet('flushed', { redisUrl: server.url, redis });
    const ids = await Promise.all(Array.from({ length: 5 }, () => world.start()));
    for (const id of ids) await expect.poll(async () => (await world.view(id)).state, SOON).toBe('live');
    const running = [...world.tavus.unended];
    expect(running).toHaveLength(5);
    await redis.flushall();
    await expect.poll(() => world.open(), { timeout: 20_000, interval: 50 }).toEqual([]);
    await world[Symbol.asyncDispose]();
  } finally {
    redis.disconnect();
    await server.stop();
  }
});
