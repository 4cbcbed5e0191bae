import { ControlData, FleetError, jobs, queuePrefix } from '@tavus-fleet/contracts';
import { sleep, type Clock } from '@tavus-fleet/lifecycle';
import type { Records, RedisConnection } from '@tavus-fleet/redis';
import { UnrecoverableError, Worker, type Job } from 'bullmq';

// A start and a stop may be enqueued in one breath by a backend that writes no record: the start's worker makes it within this.
const RECORD_LOOKS = 10;
const RECORD_LOOK_MS = 300;
const CONCURRENCY = 16;

/**
 * Stop and cancel jobs. Any worker may take one: it writes `desired` and the mark, and the owner obeys. A queue of its own, so
 * that a fleet without a free slot still ends conversations.
 */
export class ControlJobs {
  readonly #worker: Worker;

  constructor(options: { connection: RedisConnection; keyPrefix: string; records: Records; clock: Clock; onError: (error: Error) => void }) {
    const { records, clock } = options;
    this.#worker = new Worker(jobs.stop.queue, (job) => handle(job, records, clock), {
      connection: options.connection,
      prefix: queuePrefix(options.keyPrefix),
      concurrency: CONCURRENCY,
      autorun: false,
      drainDelay: 2,
      removeOnComplete: { age: 3_600, count: 1_000 },
      removeOnFail: { age: 24 * 3_600, count: 1_000 },
    });
    this.#worker.on('error', options.onError);
  }

  start(): void {
    // The promise is BullMQ's main loop; its failures come through the error event.
    void this.#worker.run();
  }

  close(): Promise<void> {
    return this.#worker.close();
  }
}

/** Writes what is asked for; the answer is what came of it, readable in the job's result. */
async function handle(job: Job, records: Records, clock: Clock): Promise<string> {
  const data = ControlData.safeParse(job.data);
  const verb = job.name;
  if (!data.success) throw new UnrecoverableError(`${data.error.issues[0]?.path.join('.') || 'data'}: ${data.error.issues[0]?.message ?? 'is malformed'}`);
  if (verb !== 'stop' && verb !== 'cancel') throw new UnrecoverableError(`name: must be stop or cancel`);
  for (let look = 1; ; look += 1) {
    const outcome = await records.desire(data.data.conversationId, verb, data.data.reason ?? '');
    if (outcome !== 'absent') return outcome;
    if (look >= RECORD_LOOKS) throw new FleetError('not-found', 'No conversation of that id was ever asked for.', { field: 'conversationId' });
    await sleep(clock, RECORD_LOOK_MS);
  }
}
