import { withDeadline } from '@tavus-fleet/lifecycle';
import type { RedisConnection } from '@tavus-fleet/redis';
import type { Worker } from 'bullmq';

/** BullMQ's worker connection waits for ever by design, and a close that waits for it would too (observed on a Cluster whose master was killed). */
const CLOSE_MS = 5_000;

/**
 * A BullMQ worker that can be replaced. After a silent partition or a failover it may fetch nothing for ever and say that it runs: a command
 * on a dead connection is never answered, and a connection without a deadline never notices. Whoever sees that through the queue
 * asks for a new one, with new connections; what the old one still held comes back by BullMQ's own check for stalled jobs.
 */
export class BullWorker {
  readonly #connect: () => RedisConnection;
  readonly #make: (connection: RedisConnection) => Worker;
  readonly #onError: (error: Error) => void;
  #now: { readonly worker: Worker; readonly connection: RedisConnection };

  constructor(options: {
    readonly connect: () => RedisConnection;
    readonly make: (connection: RedisConnection) => Worker;
    readonly onError: (error: Error) => void;
  }) {
    this.#connect = options.connect;
    this.#make = options.make;
    this.#onError = options.onError;
    this.#now = this.#open();
  }

  get worker(): Worker {
    return this.#now.worker;
  }

  /** From here on `worker` is a new one. The old one is left to itself: its connections may never answer a goodbye. */
  replace(): Worker {
    const old = this.#now;
    this.#now = this.#open();
    void old.worker.close(true).catch(this.#onError);
    old.connection.disconnect();
    return this.worker;
  }

  /** `force`: without waiting for jobs that are being run. Rejects when that takes longer than 5 s; the connection goes in any case. */
  async close(force: boolean): Promise<void> {
    const { worker, connection } = this.#now;
    try {
      await withDeadline({ ms: CLOSE_MS, what: 'Closing a queue' }, () => worker.close(force));
    } finally {
      connection.disconnect();
    }
  }

  #open(): { worker: Worker; connection: RedisConnection } {
    const connection = this.#connect();
    const worker = this.#make(connection);
    worker.on('error', this.#onError);
    return { worker, connection };
  }
}
