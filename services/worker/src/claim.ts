import { asFleetError, firstProblem, StartData, type FleetError } from '@tavus-fleet/contracts';
import { sleep, type Clock } from '@tavus-fleet/lifecycle';
import { traced } from '@tavus-fleet/telemetry';
import type { ClaimedJob, StartJobs } from './start-jobs.ts';

const FULL_LOOK_MS = 100;
const CLOSED_LOOK_MS = 200;
const HOLD_LOOK_MS = 50;
const ERROR_PAUSE_MS = 500;
/**
 * A job that lost the race for the last provider slot is held for this long, in the hope of the next one; then it goes back to its
 * place in front, where it is seen, and where an urgent one may overtake it.
 */
const HOLD_MS = 1_000;

export interface Claimer {
  /** Why no further conversation may be taken just now. */
  whyNotOneMore(): string | undefined;
  /**
   * Starts the conversation of a job: resolves when it is live, or already somebody's or nobody's business any more. The slot
   * is accounted for before it returns its promise, so that the loop may look for the next job.
   */
  start(data: StartData): Promise<StartOutcome>;
}

/** The provider's slots and moods, as far as claiming goes. */
export interface ProviderGate {
  /** Why no job is to be fetched now: every slot is taken, or Tavus refuses. */
  whyClosed(): Promise<string | undefined>;
  /** With the job in hand: takes a slot if its conversation needs one. `over`: there is nothing to start. */
  admit(data: StartData): Promise<'ok' | 'over' | 'full'>;
  /** Gives back what `admit` took and no row came of. */
  release(data: StartData): Promise<void>;
}

export type StartOutcome =
  | { readonly kind: 'live' | 'over' | 'elsewhere' | 'not-now' }
  | { readonly kind: 'failed'; readonly error: FleetError };

export type ClaimLoopOptions = {
  readonly jobs: StartJobs;
  readonly claimer: Claimer;
  readonly gate: ProviderGate;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
};

/**
 * Free slot here → free slot at the provider → next job → start. Takes a job only when both are free, so that jobs wait in the queue,
 * visible, and not in a worker. Starts run side by side; the loop itself waits for none, and holds at most one job that cannot start yet.
 */
export class ClaimLoop {
  readonly #options: ClaimLoopOptions;
  readonly #life = new AbortController();
  readonly #starting = new Set<Promise<void>>();
  #running: Promise<void> | undefined;
  #closedBy: string | undefined;

  constructor(options: ClaimLoopOptions) {
    this.#options = options;
  }

  /** Why no job is being taken: here or at the provider. */
  get whyWaiting(): string | undefined {
    return this.#options.claimer.whyNotOneMore() ?? this.#closedBy;
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
    await this.#options.jobs.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#life;
    const { clock, onError } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#round(signal);
      } catch (error) {
        if (signal.aborted) return;
        onError(error);
        await sleep(clock, ERROR_PAUSE_MS, signal).catch(() => undefined);
      }
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { jobs, claimer, gate, clock } = this.#options;
    if (claimer.whyNotOneMore()) return await sleep(clock, FULL_LOOK_MS, signal);
    this.#closedBy = await gate.whyClosed();
    if (this.#closedBy) return await sleep(clock, CLOSED_LOOK_MS, signal);
    const job = await jobs.next();
    if (!job) return;
    const data = await this.#admitted(job, signal);
    if (data) this.#take(job, data);
  }

  /** The job's data once it may start; undefined when the job has been dealt with. */
  async #admitted(job: ClaimedJob, signal: AbortSignal): Promise<StartData | undefined> {
    const { claimer, gate, clock } = this.#options;
    const parsed = StartData.safeParse(job.data);
    if (!parsed.success) {
      const { field, message } = firstProblem(parsed.error, 'data');
      await job.failed(new Error(`${field}: ${message}`), false);
      return undefined;
    }
    const data = parsed.data;
    const mayNot = (): boolean => signal.aborted || claimer.whyNotOneMore() !== undefined;
    const giveUpAt = clock.now() + HOLD_MS;
    let admitted: Awaited<ReturnType<ProviderGate['admit']>> = 'full';
    try {
      while (!mayNot() && clock.now() <= giveUpAt) {
        admitted = await gate.admit(data);
        if (admitted !== 'full') break;
        await sleep(clock, HOLD_LOOK_MS, signal).catch(() => undefined); // the condition above says the rest
      }
    } catch (error) {
      await job.giveBack(); // nothing was begun: it is as good as before
      throw error;
    }
    if (admitted === 'over') {
      await job.done();
      return undefined;
    }
    // What was true before the wait for the answer need not be now.
    if (admitted === 'ok' && !mayNot()) return data;
    if (admitted === 'ok') await gate.release(data);
    await job.giveBack();
    return undefined;
  }

  #take(job: ClaimedJob, data: StartData): void {
    const work: Promise<void> = this.#handle(job, data)
      .catch(this.#options.onError)
      .finally(() => this.#starting.delete(work));
    this.#starting.add(work);
  }

  async #handle(job: ClaimedJob, data: StartData): Promise<void> {
    const { claimer, gate, onError } = this.#options;
    try {
      const outcome = await traced(
        'claim',
        {
          kind: 'consumer',
          parent: job.traceparent,
          attributes: { 'fleet.conversation_id': data.conversationId },
        },
        async (span) => {
          const came = await claimer.start(data);
          span.setAttribute('fleet.outcome', came.kind);
          return came;
        },
      );
      if (outcome.kind === 'failed') await job.failed(outcome.error, false);
      else if (outcome.kind === 'not-now') await job.giveBack();
      else await job.done();
    } catch (thrown) {
      // Nothing was acquired. A silent Redis is worth another try by BullMQ; a job without record and request is not.
      const error = asFleetError(thrown);
      await job.failed(error, error.retry);
    } finally {
      await gate.release(data).catch(onError); // if Redis is silent, it runs out by itself
    }
  }
}
