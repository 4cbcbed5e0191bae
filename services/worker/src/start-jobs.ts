import { jobs, queuePrefix } from '@tavus-fleet/contracts';
import { systemClock, withDeadline, type Timer } from '@tavus-fleet/lifecycle';
import type { RedisConnection } from '@tavus-fleet/redis';
import { traceparentOf } from '@tavus-fleet/telemetry';
import { UnrecoverableError, Worker, type Job } from 'bullmq';
import { BullWorker } from './bull-worker.ts';

// Short, because a conversation that was never owned has no lease by which its worker's death is noticed: its job comes back by this.
const LOCK_MS = 5_000;
const EXTEND_MS = 1_500;
const STALLED_MS = 2_500;
const DRAIN_DELAY_SECONDS = 2;
/** BullMQ waits for a job for 2 s and gives up by itself a second later: what takes longer is not waiting. */
const LATE_MS = 3_500;
/** But with a delayed job in the queue it may wait for 10 s. */
const LATE_WITH_DELAYED_MS = 12_000;
/** A job whose end cannot be written in this time is found stalled and run again, which changes nothing. */
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
  readonly #bull: BullWorker;
  readonly #delayed: () => Promise<number>;
  readonly #onReplaced: () => void;
  readonly #token = crypto.randomUUID();
  readonly #held = new Set<Timer>();
  #closing = false;
  #closed = false;
  /** Lets go of a fetch that is waited for. */
  #giveUp: (() => void) | undefined;

  /** `delayed`: how many jobs the queue puts off, asked over another connection; rejects when Redis is silent there too. */
  constructor(options: {
    connect: () => RedisConnection;
    keyPrefix: string;
    delayed: () => Promise<number>;
    onReplaced: () => void;
    onError: (error: Error) => void;
  }) {
    this.#delayed = options.delayed;
    this.#onReplaced = options.onReplaced;
    const make = (connection: RedisConnection): Worker =>
      new Worker(jobs.start.queue, null, {
        connection,
        prefix: queuePrefix(options.keyPrefix),
        autorun: false,
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_MS,
        // A job is only a wake-up: what it is for is counted by its conversation's crashes, not here.
        maxStalledCount: 100,
        drainDelay: DRAIN_DELAY_SECONDS,
        removeOnComplete: { age: 3_600, count: 1_000 },
        removeOnFail: { age: 24 * 3_600, count: 1_000 },
      });
    this.#bull = new BullWorker({ connect: options.connect, make, onError: options.onError });
  }

  async start(): Promise<void> {
    await this.#bull.worker.startStalledCheckTimer();
  }

  async next(): Promise<ClaimedJob | undefined> {
    const fetching: Promise<Job | undefined> = this.#bull.worker.getNextJob(this.#token);
    let waitedMs = 0;
    for (;;) {
      const late = Symbol('late');
      // A promise of this wait only: one that lives as long as we do would keep every job that was ever raced with it.
      const { promise, resolve } = Promise.withResolvers<typeof late | undefined>();
      using _timer = systemClock.after(LATE_MS, () => resolve(late));
      this.#giveUp = () => resolve(undefined);
      if (this.#closed) this.#giveUp();
      const job = await Promise.race([fetching, promise]);
      if (job !== late) return job && this.#claimed(job);
      waitedMs += LATE_MS;
      if (!(await this.#isWedged(waitedMs)) || this.#closing) continue; // a replacement would outlive the close
      // If it comes after all, nobody runs it here: it stalls, and is found.
      fetching.catch(() => undefined);
      void this.#bull.replace().startStalledCheckTimer();
      this.#onReplaced();
      return undefined;
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const timer of this.#held) timer[Symbol.dispose]();
    try {
      await this.#bull.close(true);
    } finally {
      this.#closed = true;
      this.#giveUp?.(); // whatever became of the blocked read, nobody waits for it any more
    }
  }

  /** Redis answers others and not us. While it is silent to everybody, a new connection would be as mute. */
  async #isWedged(waitedMs: number): Promise<boolean> {
    try {
      return (await this.#delayed()) === 0 || waitedMs >= LATE_WITH_DELAYED_MS;
    } catch {
      return false;
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
