import type { Clock } from '@tavus-fleet/lifecycle';
import type { RedisConnection } from './connect.ts';
import type { Log } from './log.ts';
import { StreamReader, type OnEntries, type StreamSource } from './stream-reader.ts';

/**
 * The same port for Redis Cluster, where one XREAD cannot name keys of two slots: a connection per subscription. It needs no
 * bell, since its set of streams never changes.
 */
export class ClusterStreamReader implements StreamSource {
  readonly #connect: () => RedisConnection;
  readonly #options: { readonly clock?: Clock; readonly log?: Log };
  readonly #readers = new Set<StreamReader>();
  #closed = false;

  /** `connect` opens a connection of role `blocking`; the reader closes it. */
  constructor(connect: () => RedisConnection, options: { clock?: Clock; log?: Log } = {}) {
    this.#connect = connect;
    this.#options = options;
  }

  subscribe(key: string, fromId: string, onEntries: OnEntries): () => void {
    if (this.#closed) throw new Error('The stream reader is closed.');
    const reader = new StreamReader({ ...this.#options, blocking: this.#connect() });
    this.#readers.add(reader);
    const unsubscribe = reader.subscribe(key, fromId, onEntries);
    return () => {
      unsubscribe();
      if (this.#readers.delete(reader)) void reader.close();
    };
  }

  get size(): number {
    return this.#readers.size;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const readers = [...this.#readers];
    this.#readers.clear();
    await Promise.all(readers.map((reader) => reader.close()));
  }
}
