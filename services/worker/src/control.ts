import { ControlData, firstProblem, jobs, queuePrefix } from '@tavus-fleet/contracts';
import { withDeadline } from '@tavus-fleet/lifecycle';
import type { Records, RedisConnection } from '@tavus-fleet/redis';
import { DelayedError, UnrecoverableError, Worker, type WorkerOptions } from 'bullmq';

// A start and a stop may be enqueued in one breath by a backend that writes no record: the start's worker, or a sweeper, makes it
// within this. Between two looks the job waits in the queue and not here: a flood of unknown ids holds up no other stop.
const RECORD_LOOKS = 10;
const RECORD_LOOK_MS = 300;
const CONCURRENCY = 16;
const CLOSE_MS = 5_000;

/**
 * Stop and cancel jobs. Any worker may take one: it writes `desired` and the mark, and the owner obeys. A queue of its own, so
 * that a fleet without a free slot still ends conversations.
 */
export class ControlJobs {
  readonly #worker: Worker;
  readonly #onError: (error: unknown) => void;

  constructor(options: {
    connection: RedisConnection;
    keyPrefix: string;
    records: Pick<Records, 'desire'>;
    onError: (error: Error) => void;
    /** BullMQ's hook: a job is a span in the trace in which it was added. */
    telemetry?: WorkerOptions['telemetry'] | undefined;
  }) {
    const { records, telemetry } = options;
    this.#worker = new Worker(jobs.stop.queue, (job, token) => handle(job, records, token), {
      connection: options.connection,
      prefix: queuePrefix(options.keyPrefix),
      concurrency: CONCURRENCY,
      autorun: false,
      drainDelay: 2,
      removeOnComplete: { age: 3_600, count: 1_000 },
      removeOnFail: { age: 24 * 3_600, count: 1_000 },
      ...(telemetry ? { telemetry } : {}),
    });
    this.#worker.on('error', options.onError);
    this.#onError = (error) => options.onError(error instanceof Error ? error : new Error('not an Error'));
  }

  start(): void {
    // The promise is BullMQ's main loop; its failures come through the error event.
    void this.#worker.run();
  }

  /** Lets running jobs finish, within a deadline: a connection that lost its Cluster node may never answer. */
  async close(): Promise<void> {
    await withDeadline({ ms: CLOSE_MS, what: 'Closing the control queue' }, () => this.#worker.close()).catch(
      this.#onError,
    );
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
