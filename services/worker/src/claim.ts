import { asFleetError, firstProblem, StartData, type FleetError } from '@tavus-fleet/contracts';
import { sleep, type Clock } from '@tavus-fleet/lifecycle';
import type { ClaimedJob, StartJobs } from './start-jobs.ts';

const FULL_LOOK_MS = 100;
const ERROR_PAUSE_MS = 500;

export interface Claimer {
  /** Why no further conversation may be taken just now. */
  whyNotOneMore(): string | undefined;
  /**
   * Starts the conversation of a job: resolves when it is live, or already somebody's or nobody's business any more. The slot
   * is accounted for before it returns its promise, so that the loop may look for the next job.
   */
  start(data: StartData): Promise<StartOutcome>;
}

export type StartOutcome =
  | { readonly kind: 'live' | 'over' | 'elsewhere' | 'not-now' }
  | { readonly kind: 'failed'; readonly error: FleetError };

/**
 * Free slot → next job → start. Takes a job only when a slot is free, so that jobs wait in the queue, visible, and not in
 * a worker. Starts run side by side; the loop itself never waits for one.
 */
export class ClaimLoop {
  readonly #jobs: StartJobs;
  readonly #claimer: Claimer;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #life = new AbortController();
  readonly #starting = new Set<Promise<void>>();
  #running: Promise<void> | undefined;

  constructor(jobs: StartJobs, claimer: Claimer, clock: Clock, onError: (error: unknown) => void) {
    this.#jobs = jobs;
    this.#claimer = claimer;
    this.#clock = clock;
    this.#onError = onError;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Takes no further job; jobs whose start is under way end with their session. */
  stop(): void {
    this.#life.abort();
  }

  async close(): Promise<void> {
    this.stop();
    await Promise.all(this.#starting); // they still need the queue: to extend their locks and to say how it went
    await this.#jobs.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#life;
    while (!signal.aborted) {
      try {
        if (this.#claimer.whyNotOneMore()) {
          await sleep(this.#clock, FULL_LOOK_MS, signal);
          continue;
        }
        const job = await this.#jobs.next();
        if (!job) continue;
        if (signal.aborted || this.#claimer.whyNotOneMore()) await job.giveBack();
        else this.#take(job);
      } catch (error) {
        if (signal.aborted) return;
        this.#onError(error);
        await sleep(this.#clock, ERROR_PAUSE_MS, signal).catch(() => undefined);
      }
    }
  }

  #take(job: ClaimedJob): void {
    const work: Promise<void> = this.#handle(job)
      .catch(this.#onError)
      .finally(() => this.#starting.delete(work));
    this.#starting.add(work);
  }

  async #handle(job: ClaimedJob): Promise<void> {
    const data = StartData.safeParse(job.data);
    if (!data.success) {
      const { field, message } = firstProblem(data.error, 'data');
      return await job.failed(new Error(`${field}: ${message}`), false);
    }
    try {
      const outcome = await this.#claimer.start(data.data);
      if (outcome.kind === 'failed') await job.failed(outcome.error, false);
      else if (outcome.kind === 'not-now') await job.giveBack();
      else await job.done();
    } catch (thrown) {
      // Nothing was acquired. A silent Redis is worth another try by BullMQ; a job without record and request is not.
      const error = asFleetError(thrown);
      await job.failed(error, error.retry);
    }
  }
}
