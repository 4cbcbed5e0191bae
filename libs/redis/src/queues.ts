import {
  FleetError,
  jobOptions,
  jobs,
  queuePrefix,
  webhookQueue,
  webhookRetry,
  type ControlData,
  type DeliverData,
  type JobName,
  type StartData,
} from '@tavus-fleet/contracts';
import { systemClock, withDeadline, type Timer } from '@tavus-fleet/lifecycle';
import { Queue, type QueueOptions } from 'bullmq';
import { isRedisDown, redisCall } from './call.ts';
import { connectRedis, type RedisConnection } from './connect.ts';
import { everyMaster } from './health.ts';
import { silentLog, type Log } from './log.ts';

/**
 * The connection that BullMQ gets, producers and workers alike, so that both have our reconnect rules. BullMQ makes its own blocking
 * connection from a worker's by duplicating it. The caller closes it: BullMQ leaves a connection it was given open.
 */
export function queueConnection(
  url: string,
  options: { role: 'producer' | 'worker'; name: string; log?: Log },
): RedisConnection {
  return connectRedis(url, {
    role: options.role === 'producer' ? 'queue' : 'queue-worker',
    name: options.name,
    log: options.log ?? silentLog,
  });
}

/**
 * For BullMQ's `error`, which must have a listener. That Redis is down is said once by the connection's own listener; BullMQ repeats it at
 * every attempt to connect, some hundred lines in a failover (observed).
 */
export function queueErrors(log: Log, queue: string): (error: Error) => void {
  return (error) => {
    if (!isRedisDown(error)) log.warn({ queue, error: error.message }, 'queue error');
  };
}

export type EnqueueOptions = {
  /** Before every other job: a conversation that lost its owner, whose user is waiting in a frozen room. */
  readonly urgent?: boolean;
  readonly signal?: AbortSignal;
};

const ENQUEUE_MS = 3000;
/** A connection that nobody uses does not notice a partition: the first start after it would wait for what is dead. */
const KEEP_ALIVE_MS = 1000;
// Urgent wake-ups only: the job that the lost owner took may be held by it for some seconds more, and must not swallow this one.
const URGENT_DEDUPLICATION_MS = 2000;

/** States of a job that will be run, or is. */
const alive: ReadonlySet<string> = new Set(['waiting', 'active', 'delayed', 'prioritized', 'waiting-children']);

/**
 * Puts wake-ups into the queues `sessions` and `control`, and webhooks into theirs. A job carries no truth: adding one twice does nothing worse than
 * waking a worker that finds nothing to do.
 */
export class Queues {
  readonly #url: string;
  readonly #prefix: string;
  readonly #name: string;
  readonly #log: Log;
  readonly #telemetry: QueueOptions['telemetry'] | undefined;
  #connection: RedisConnection | undefined;
  #keepAlive: Timer | undefined;
  readonly #queues = new Map<string, Queue>();
  #closed = false;

  /** `telemetry` is BullMQ's hook: jobs then carry the trace in which they were added. */
  constructor(
    url: string,
    keyPrefix: string,
    options: { name?: string; log?: Log; telemetry?: QueueOptions['telemetry'] | undefined } = {},
  ) {
    this.#url = url;
    this.#prefix = queuePrefix(keyPrefix);
    this.#name = options.name ?? 'queues';
    this.#log = options.log ?? silentLog;
    this.#telemetry = options.telemetry;
  }

  /** BullMQ's own object, for counts and for finding a job. */
  get sessions(): Queue {
    return this.#queue('sessions');
  }

  get control(): Queue {
    return this.#queue('control');
  }

  /**
   * Adds a job and answers its id. Throws `invalid-request` for data that the catalog refuses, `redis-unavailable` when
   * Redis does not take it within 3 s (it may have taken it all the same: harmless, see above).
   */
  enqueue(name: 'start', data: StartData, options?: EnqueueOptions): Promise<string>;
  enqueue(name: 'stop' | 'cancel', data: ControlData, options?: EnqueueOptions): Promise<string>;
  async enqueue(name: JobName, data: StartData | ControlData, options: EnqueueOptions = {}): Promise<string> {
    const entry = jobs[name];
    const parsed = entry.data.safeParse(data);
    if (!parsed.success)
      throw new FleetError('invalid-request', `The data of a ${name} job is malformed.`, {
        field: parsed.error.issues[0]?.path.join('.') ?? 'data',
      });
    const job = await this.#with(entry.queue, `Adding a ${name} job`, options.signal, (queue) =>
      queue.add(name, parsed.data, {
        ...jobOptions(name, data.conversationId),
        ...(options.urgent
          ? {
              lifo: true,
              deduplication: { id: `${data.conversationId}.urgent`, ttl: URGENT_DEDUPLICATION_MS },
            }
          : {}),
      }),
    );
    return job.id ?? '';
  }

  /** Adds webhooks to the queue of an API key. The webhook's id is the job's: one that is still known there is not added again. */
  async deliver(keyName: string, webhooks: readonly DeliverData[]): Promise<void> {
    await this.#with(webhookQueue(keyName), 'Adding webhooks', undefined, (queue) =>
      queue.addBulk(
        webhooks.map((data) => ({
          name: 'deliver',
          data,
          opts: { jobId: data.id, stackTraceLimit: 0, ...webhookRetry },
        })),
      ),
    );
  }

  /** Webhooks of these API keys that wait for their first or a further try. */
  async undelivered(keyNames: readonly string[]): Promise<number> {
    const counts = await Promise.all(
      keyNames.map((keyName) =>
        this.#with(webhookQueue(keyName), 'Counting webhooks', undefined, (queue) =>
          queue.getJobCountByTypes('wait', 'active', 'delayed'),
        ),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #with<T>(
    name: string,
    what: string,
    signal: AbortSignal | undefined,
    work: (queue: Queue) => Promise<T>,
  ): Promise<T> {
    const queue = this.#queue(name);
    try {
      return await withDeadline({ ms: ENQUEUE_MS, what, code: 'redis-unavailable', signal }, () =>
        redisCall(() => work(queue)),
      );
    } catch (error) {
      // A BullMQ queue whose first contact failed never recovers; the next call makes a new one.
      if (error instanceof FleetError && error.code === 'redis-unavailable') await this.#discard(name, queue);
      throw error;
    }
  }

  /** Of these conversations, those that have no start job of ours which waits or is being run. */
  async withoutStart(ids: readonly string[]): Promise<string[]> {
    const queue = this.#queue('sessions');
    const found = await redisCall(() =>
      Promise.all(
        ids.map(async (id) => {
          const jobId = await queue.getDeduplicationJobId(id);
          return jobId !== null && alive.has(await queue.getJobState(jobId));
        }),
      ),
    );
    return ids.filter((_, at) => !found[at]);
  }

  /** How many jobs are in that state. Rejects with `redis-unavailable` within 3 s. */
  count(name: 'sessions' | 'control', state: 'wait' | 'delayed'): Promise<number> {
    return this.#with(name, 'Counting jobs', undefined, (queue) => queue.getJobCountByTypes(state));
  }

  /** Whether the next start job is an urgent one. */
  async urgentFirst(): Promise<boolean> {
    const [first] = await redisCall(() => this.#queue('sessions').getJobs(['wait'], 0, 0, true));
    return first?.opts.lifo === true;
  }

  /** May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#keepAlive?.[Symbol.dispose]();
    this.#connection?.disconnect();
    await Promise.all([...this.#queues].map(([name, queue]) => this.#discard(name, queue)));
  }

  #queue(name: string): Queue {
    if (this.#closed) throw new FleetError('shutting-down', 'The queues are closed.');
    let queue = this.#queues.get(name);
    if (!queue) {
      queue = new Queue(name, {
        connection: this.#connected(),
        prefix: this.#prefix,
        streams: { events: { maxLen: 1000 } },
        ...(this.#telemetry ? { telemetry: this.#telemetry } : {}),
      });
      queue.on('error', queueErrors(this.#log, name));
      this.#queues.set(name, queue);
    }
    return queue;
  }

  #connected(): RedisConnection {
    if (this.#connection) return this.#connection;
    const connection = queueConnection(this.#url, { role: 'producer', name: this.#name, log: this.#log });
    this.#connection = connection;
    const masters = everyMaster(connection);
    this.#keepAlive = systemClock.every(KEEP_ALIVE_MS, () => {
      // One that is being opened has its own patience, and a line that a ping would only make longer.
      if (connection.status === 'ready') void masters.ping().catch(() => undefined); // its own listener says that it is down
    });
    return connection;
  }

  async #discard(name: string, queue: Queue): Promise<void> {
    if (this.#queues.get(name) === queue) this.#queues.delete(name);
    // Waits for the first contact, which may never come: bounded, and only then given up.
    const closing = withDeadline({ ms: 200, what: 'Closing a queue' }, () => queue.close());
    await closing.catch((error: unknown) =>
      this.#log.info(
        { queue: name, error: error instanceof Error ? error.message : '' },
        'queue closed without answer',
      ),
    );
  }
}
