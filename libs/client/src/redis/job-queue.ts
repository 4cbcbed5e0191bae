import {
  FleetError,
  jobOptions,
  jobs,
  queuePrefix,
  type ControlData,
  type JobName,
  type StartData,
} from '@tavus-fleet/contracts';
import { withDeadline } from '@tavus-fleet/lifecycle';
import { Queue } from 'bullmq';
import { redisCall } from './call.ts';
import { connect, type Connection } from './connection.ts';

const ADD_MS = 3_000;
const CLOSE_MS = 200;

/** Puts jobs into the fleet's queues. A job is a wake-up: adding one twice does nothing worse than waking a worker that finds nothing to do. */
export class JobQueue {
  readonly #url: string;
  readonly #keyPrefix: string;
  readonly #queues = new Map<string, Queue>();
  #connection: Connection | undefined;
  #closed = false;

  constructor(url: string, keyPrefix: string) {
    this.#url = url;
    this.#keyPrefix = keyPrefix;
  }

  /** One try. Rejects with `redis-unavailable` when Redis does not take it within 3 s (it may have taken it all the same: harmless). */
  async add(name: JobName, data: StartData | ControlData, signal: AbortSignal): Promise<void> {
    if (this.#closed) throw new FleetError('shutting-down', 'The fleet was closed here.');
    const queue = this.#queue(jobs[name].queue);
    const deadline = { ms: ADD_MS, what: `Adding a ${name} job`, code: 'redis-unavailable', signal } as const;
    try {
      await withDeadline(deadline, () => redisCall(() => queue.add(name, data, jobOptions(name, data.conversationId))));
    } catch (error) {
      await this.#discard(queue); // a BullMQ queue whose first contact failed never recovers; the next try makes a new one
      throw error;
    }
  }

  /** May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#connection?.disconnect();
    await Promise.all([...this.#queues.values()].map((queue) => this.#discard(queue)));
  }

  #queue(name: string): Queue {
    const known = this.#queues.get(name);
    if (known) return known;
    this.#connection ??= connect(this.#url, 'queue');
    const queue = new Queue(name, { connection: this.#connection, prefix: queuePrefix(this.#keyPrefix) });
    queue.on('error', () => undefined); // the job that suffers says it
    this.#queues.set(name, queue);
    return queue;
  }

  async #discard(queue: Queue): Promise<void> {
    if (this.#queues.get(queue.name) === queue) this.#queues.delete(queue.name);
    // Waits for the first contact, which may never come: bounded, and then given up.
    const closing = withDeadline({ ms: CLOSE_MS, what: 'Closing a queue' }, () => queue.close());
    await closing.catch(() => undefined); // its connection is ours and closed by us: nothing of it stays open
  }
}
