import { ControlData, firstProblem, jobs, queuePrefix } from '@tavus-fleet/contracts';
import { systemClock, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import type { Records, RedisConnection } from '@tavus-fleet/redis';
import { DelayedError, UnrecoverableError, Worker, type WorkerOptions } from 'bullmq';
import { BullWorker } from './bull-worker.ts';

// A start and a stop may be enqueued in one breath by a backend that writes no record: the start's worker, or a sweeper, makes it
// within this. Between two looks the job waits in the queue and not here: a flood of unknown ids holds up no other stop.
const RECORD_LOOKS = 10;
const RECORD_LOOK_MS = 300;
const CONCURRENCY = 16;
const LOOK_MS = 1_000;
/** Jobs wait and we have room, and took none for this long: not a queue, a worker that does not fetch. */
const LATE_MS = 3_000;

/**
 * Stop and cancel jobs. Any worker may take one: it writes `desired` and the mark, and the owner obeys. A queue of its own, so
 * that a fleet without a free slot still ends conversations.
 */
export class ControlJobs {
  readonly #onError: (error: unknown) => void;
  readonly #bull: BullWorker;
  readonly #waiting: () => Promise<number>;
  readonly #onReplaced: () => void;
  readonly #clock: Clock;
  #running = 0;
  #takenAt: number;
  #waitingSince: number | undefined;
  #timer: Timer | undefined;
  #looking = false;

  /** `waiting`: how many jobs wait, asked over another connection; rejects when Redis is silent there too. */
  constructor(options: {
    connect: () => RedisConnection;
    keyPrefix: string;
    records: Pick<Records, 'desire'>;
    waiting: () => Promise<number>;
    onReplaced: () => void;
    onError: (error: Error) => void;
    clock?: Clock;
    /** BullMQ's hook: a job is a span in the trace in which it was added. */
    telemetry?: WorkerOptions['telemetry'] | undefined;
  }) {
    const { records, telemetry } = options;
    this.#onError = (error) => options.onError(error instanceof Error ? error : new Error('not an Error'));
    this.#waiting = options.waiting;
    this.#onReplaced = options.onReplaced;
    this.#clock = options.clock ?? systemClock;
    this.#takenAt = this.#clock.now();
    const make = (connection: RedisConnection): Worker =>
      new Worker(
        jobs.stop.queue,
        async (job, token) => {
          this.#takenAt = this.#clock.now();
          this.#running += 1;
          try {
            return await handle(job, records, token);
          } finally {
            this.#running -= 1;
          }
        },
        {
          connection,
          prefix: queuePrefix(options.keyPrefix),
          concurrency: CONCURRENCY,
          autorun: false,
          drainDelay: 2,
          removeOnComplete: { age: 3_600, count: 1_000 },
          removeOnFail: { age: 24 * 3_600, count: 1_000 },
          ...(telemetry ? { telemetry } : {}),
        },
      );
    this.#bull = new BullWorker({ connect: options.connect, make, onError: options.onError });
  }

  start(): void {
    // The promise is BullMQ's main loop; its failures come through the error event.
    void this.#bull.worker.run();
    this.#timer ??= this.#clock.every(LOOK_MS, () => void this.#look());
  }

  /** Lets running jobs finish, within a deadline: a connection that lost its Cluster node may never answer. */
  async close(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    await this.#bull.close(false).catch(this.#onError);
  }

  /** Sees through the queue whether this worker still fetches. Never rejects. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const idle = (await this.#waiting()) > 0 && this.#running < CONCURRENCY;
      const now = this.#clock.now();
      this.#waitingSince = idle ? (this.#waitingSince ?? now) : undefined;
      if (this.#waitingSince === undefined || now - Math.max(this.#takenAt, this.#waitingSince) < LATE_MS) return;
      this.#waitingSince = undefined;
      if (!this.#timer) return; // closed meanwhile
      void this.#bull.replace().run();
      this.#onReplaced();
    } catch {
      this.#waitingSince = undefined; // silent to everybody: a new connection would be as mute
    } finally {
      this.#looking = false;
    }
  }
}

/** What of a BullMQ job the handler needs. `attemptsStarted` counts how often it was taken, also when it was only put off. */
export type ControlJob = {
  readonly name: string;
  readonly data: unknown;
  readonly attemptsStarted: number;
  moveToDelayed(at: number, token?: string): Promise<void>;
};

/** Writes what is asked for; the answer is what came of it, readable in the job's result. A job put off burns no attempt. */
export async function handle(job: ControlJob, records: Pick<Records, 'desire'>, token?: string): Promise<string> {
  const data = ControlData.safeParse(job.data);
  const verb = job.name;
  if (!data.success) {
    const { field, message } = firstProblem(data.error, 'data');
    throw new UnrecoverableError(`${field}: ${message}`);
  }
  if (verb !== 'stop' && verb !== 'cancel') throw new UnrecoverableError('name: must be stop or cancel');
  const outcome = await records.desire(data.data.conversationId, verb, data.data.reason ?? '');
  if (outcome !== 'absent') return outcome;
  if (job.attemptsStarted > RECORD_LOOKS)
    throw new UnrecoverableError('conversationId: no conversation of that id was ever asked for');
  await job.moveToDelayed(Date.now() + RECORD_LOOK_MS, token); // BullMQ subtracts its own Date.now() again: only the difference counts
  throw new DelayedError();
}
