import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** The Redis of this test run; redis-global-setup.ts provides it. */
    redisUrl: string;
  }
}

export interface RedisFixture {
  readonly url: string;
  /** KEY_PREFIX of this file: every key it makes must contain it, so files can share one server. */
  readonly keyPrefix: string;
  readonly fleetId: string;
  /** A client that is closed after the file. */
  connect(): Redis;
}

export interface RedisFixtureOptions {
  /** Keys that may stay without a TTL when the file ends, beside BullMQ's bookkeeping. */
  readonly allow?: RegExp;
}

/** What BullMQ keeps for every queue that was ever used. */
const BOOKKEEPING = /:(meta|id|events|marker|stalled-check|pc)$/;

/**
 * The run's shared Redis with a key prefix of this file's own: call it once, at the top of a `*.redis.test.ts`. After
 * the file every key that would live for ever (no TTL) fails it, because in production that key would never go away
 * either; then all keys of the file are deleted.
 */
export function redisFixture(options: RedisFixtureOptions = {}): RedisFixture {
  const url = inject('redisUrl');
  const id = randomBytes(5).toString('hex');
  const clients: Redis[] = [];
  const connect = (): Redis => {
    const client = new Redis(url, { maxRetriesPerRequest: null });
    clients.push(client);
    return client;
  };
  const fixture = { url, keyPrefix: `t${id}`, fleetId: `fleet-${id}`, connect };

  beforeAll(async () => {
    const client = connect();
    await client.ping(); // fails the file here, with this reason, and not in its first test
  });

  afterAll(async () => {
    const client = connect();
    try {
      const leaked = await sweep(client, fixture.keyPrefix, options.allow);
      if (leaked.length > 0) throw new Error(`keys without a TTL were left behind: ${leaked.join(', ')}`);
    } finally {
      for (const each of clients) each.disconnect();
    }
  });
  return fixture;
}

/** Deletes what carries the prefix; returns the names of those that would have stayed for ever. */
async function sweep(client: Redis, prefix: string, allow: RegExp | undefined): Promise<string[]> {
  const leaked: string[] = [];
  for await (const batch of client.scanStream({ match: `*${prefix}*`, count: 500 })) {
    // scanStream is typed as a plain stream; its chunks are arrays of key names.
    for (const key of batch as string[]) {
      const isFine = BOOKKEEPING.test(key) || allow?.test(key) || (await client.pttl(key)) !== -1;
      if (!isFine) leaked.push(key);
      await client.del(key);
    }
  }
  return leaked.toSorted();
}
