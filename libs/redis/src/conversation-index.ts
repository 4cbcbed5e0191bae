import type { Keys } from './keys.ts';
import type { RedisConnection } from './connect.ts';

// A record outlives a conversation by 7 days and a conversation lasts hours at most: what is older has no record.
const MAX_AGE_MS = 8 * 24 * 3600 * 1000;

export type IndexEntry = { readonly id: string; readonly createdAt: number };

/**
 * Which conversations an API key made, newest first: a sorted set per key. Only a means to find records: it is written
 * apart from them (another hash tag), so a reader checks each hit and removes those that have no record.
 */
export class ConversationIndex {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;

  constructor(redis: RedisConnection, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  async add(createdBy: string, entry: IndexEntry): Promise<void> {
    const key = this.#keys.fleet.index(createdBy);
    await this.#redis.zadd(key, entry.createdAt, entry.id);
    await this.#redis.zremrangebyscore(key, '-inf', entry.createdAt - MAX_AGE_MS);
    await this.#redis.pexpire(key, MAX_AGE_MS);
  }

  async remove(createdBy: readonly string[], ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await Promise.all(createdBy.map((by) => this.#redis.zrem(this.#keys.fleet.index(by), ...ids)));
  }

  /** At most `limit` entries of all these together after `after`. Fewer means that there are no more. */
  async page(createdBy: readonly string[], after: IndexEntry | undefined, limit: number): Promise<IndexEntry[]> {
    const pages = await Promise.all(createdBy.map((by) => this.#pageOf(by, after, limit)));
    return pages
      .flat()
      .toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1))
      .slice(0, limit);
  }

  async #pageOf(createdBy: string, after: IndexEntry | undefined, limit: number): Promise<IndexEntry[]> {
    const found: IndexEntry[] = [];
    const key = this.#keys.fleet.index(createdBy);
    // Entries of one millisecond are ordered by id, backwards; those up to and including `after` were shown.
    for (let offset = 0; found.length < limit; offset += limit) {
      const rows = await this.#redis.zrevrangebyscore(
        key,
        after?.createdAt ?? '+inf',
        '-inf',
        'WITHSCORES',
        'LIMIT',
        offset,
        limit,
      );
      for (let i = 0; i + 1 < rows.length; i += 2) {
        const entry = { id: rows[i] ?? '', createdAt: Number(rows[i + 1]) };
        if (!after || entry.createdAt < after.createdAt || entry.id < after.id) found.push(entry);
      }
      if (rows.length < limit * 2) break;
    }
    return found.slice(0, limit);
  }
}

/** A page mark for the caller to hand back; opaque to it. */
export function encodeCursor(entry: IndexEntry): string {
  return Buffer.from(`${entry.createdAt}.${entry.id}`).toString('base64url');
}

/** The entry of a page mark; undefined when it is not one of ours. */
export function decodeCursor(cursor: string): IndexEntry | undefined {
  const match = /^(\d{1,16})\.([A-Za-z0-9_-]{1,64})$/.exec(Buffer.from(cursor, 'base64url').toString('utf8'));
  return match?.[1] === undefined || match[2] === undefined ? undefined : { createdAt: Number(match[1]), id: match[2] };
}
