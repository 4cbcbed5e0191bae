import { StartData } from '@tavus-fleet/contracts';
import type { Clock, Timer } from '@tavus-fleet/lifecycle';

/** A start job that waits in the queue: what the sweeper looks at. */
export type WaitingStart = { readonly data: unknown; readonly enqueuedAt: number };

export interface SweeperPort {
  /** Redis' clock, ms since 1970: the records' times are by it, and ours may be off by more than a start's limit. */
  nowMs(): Promise<number>;
  /** Waiting start jobs, oldest first, at most `limit`. */
  waiting(limit: number): Promise<readonly WaitingStart[]>;
  /** The record of a job, made now when only the job exists. Undefined for a job that is no start. */
  createdAt(data: StartData): Promise<{ createdAt: number; startTimeoutSeconds: number; queued: boolean } | undefined>;
  failStartTimeout(conversationId: string): Promise<void>;
  oldest(seconds: number): void;
}

const EVERY_MS = 2_000;
const LOOK = 100;

/**
 * Looks after conversations that nobody owns yet: a start that waited longer than its limit ends with its reason, although no
 * slot ever got free, and a backend that enqueued without a record gets one, so that it can be stopped while it waits.
 */
export class Sweeper {
  readonly #port: SweeperPort;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  #timer: Timer | undefined;
  #sweeping: Promise<void> | undefined;

  constructor(port: SweeperPort, clock: Clock, onError: (error: unknown) => void) {
    this.#port = port;
    this.#clock = clock;
    this.#onError = onError;
  }

  start(): void {
    this.#timer ??= this.#clock.every(EVERY_MS, () => void this.sweep());
  }

  /** One pass; a pass that is still under way is not overtaken. Never rejects. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep()
      .catch(this.#onError)
      .finally(() => {
        this.#sweeping = undefined;
      });
    return this.#sweeping;
  }

  async close(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    const now = await this.#port.nowMs();
    const waiting = await this.#port.waiting(LOOK);
    const oldest = waiting.reduce((min, job) => Math.min(min, job.enqueuedAt), now);
    this.#port.oldest((now - oldest) / 1_000);
    for (const job of waiting) {
      try {
        await this.#look(job, now);
      } catch (error) {
        this.#onError(error); // one record that cannot be read must not keep the others waiting for ever
      }
    }
  }

  async #look(job: WaitingStart, now: number): Promise<void> {
    const data = StartData.safeParse(job.data);
    if (!data.success) return; // the claimer fails it, with the field that is wrong
    const record = await this.#port.createdAt(data.data);
    if (record?.queued && now - record.createdAt > record.startTimeoutSeconds * 1_000)
      await this.#port.failStartTimeout(data.data.conversationId);
  }
}
