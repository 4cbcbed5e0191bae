import { jobs, queuePrefix } from '@tavus-fleet/contracts';
import { Latch, systemClock, withDeadline, type Timer } from '@tavus-fleet/lifecycle';
import type { RedisConnection } from '@tavus-fleet/redis';
import { traceparentOf } from '@tavus-fleet/telemetry';
import { UnrecoverableError, Worker, type Job } from 'bullmq';

const LOCK_MS = 30_000;
const EXTEND_MS = 10_000;
/**
 * BullMQ's worker connection waits for ever by design. A job whose end cannot be written in this time is found stalled and run again, which
 * changes nothing; a close that waits for it would never end (observed on a Cluster whose master was killed).
 */
const END_MS = 5_000;

/** A start job that this worker holds. Exactly one of `done`, `failed`, `giveBack` ends it. */
export interface ClaimedJob {
  readonly id: string;
  readonly data: unknown;
  /** The trace in which it was added. Taken by us: BullMQ's hook does so only for jobs that BullMQ itself runs. */
  readonly traceparent?: string | undefined;
  /** Whether a failure now would be the last attempt. */
  readonly lastAttempt: boolean;
  done(): Promise<void>;
  /** `retry` lets BullMQ try again by the job's own backoff; without it the job is failed for good. */
  failed(error: Error, retry: boolean): Promise<void>;
  /** Back to the queue at once: not ours to run just now; burns no attempt. */
  giveBack(): Promise<void>;
}

/** Where start jobs come from. */
export interface StartJobs {
  /** The next job, or undefined when none came for a few seconds. Rejects while Redis is silent. */
  next(): Promise<ClaimedJob | undefined>;
  close(): Promise<void>;
}

/**
 * BullMQ's `sessions` queue, fetched by hand: `concurrency` counts jobs, not live sessions, so it cannot gate them. The
 * lock is extended by us while a job is held, and stalled jobs of dead workers are found by BullMQ's own check.
 */
export class BullStartJobs implements StartJobs {
  readonly #worker: Worker;
  readonly #token = crypto.randomUUID();
  readonly #held = new Set<Timer>();
  readonly #closed = new Latch<undefined>();

  constructor(options: { connection: RedisConnection; keyPrefix: string; onError: (error: Error) => void }) {
    this.#worker = new Worker(jobs.start.queue, null, {
      connection: options.connection,
      prefix: queuePrefix(options.keyPrefix),
      autorun: false,
      lockDuration: LOCK_MS,
      // A worker that dies while it starts conversations is noticed by its lease in 3 s; the job itself only has to come back.
      stalledInterval: 10_000,
      maxStalledCount: 3,
      drainDelay: 2,
      removeOnComplete: { age: 3_600, count: 1_000 },
      removeOnFail: { age: 24 * 3_600, count: 1_000 },
    });
    this.#worker.on('error', options.onError);
  }

  async start(): Promise<void> {
    await this.#worker.startStalledCheckTimer();
  }

  async next(): Promise<ClaimedJob | undefined> {
    const job: Job | undefined = await Promise.race([this.#worker.getNextJob(this.#token), this.#closed.promise]);
    return job && this.#claimed(job);
  }

  async close(): Promise<void> {
    for (const timer of this.#held) timer[Symbol.dispose]();
    try {
      await withDeadline({ ms: END_MS, what: 'Closing the queue' }, () => this.#worker.close(true));
    } finally {
      this.#closed.set(undefined); // whatever became of the blocked read, nobody waits for it any more
    }
  }

  #claimed(job: Job): ClaimedJob {
    const lock = systemClock.every(EXTEND_MS, () => {
      // A lost lock only means that the job may be run again; who owns the conversation is said by its lease.
      void job.extendLock(this.#token, LOCK_MS).catch(() => undefined);
    });
    this.#held.add(lock);
    const end = async (work: () => Promise<unknown>): Promise<void> => {
      lock[Symbol.dispose]();
      this.#held.delete(lock);
      await withDeadline({ ms: END_MS, what: 'Ending a job', code: 'redis-unavailable' }, work);
    };
    return {
      id: job.id ?? '',
      data: job.data as unknown, // safe: BullMQ types data as any; it is parsed by the claimer
      traceparent: traceparentOf(job.opts.telemetry?.metadata),
      lastAttempt: job.attemptsMade + 1 >= (job.opts.attempts ?? 1),
      done: () => end(() => job.moveToCompleted(null, this.#token, false)),
      failed: (error, retry) =>
        end(() => job.moveToFailed(retry ? error : new UnrecoverableError(error.message), this.#token, false)),
      giveBack: () => end(() => job.moveToWait(this.#token)),
    };
  }
}
