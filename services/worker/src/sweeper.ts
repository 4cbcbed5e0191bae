import { StartData, type ConversationState } from '@tavus-fleet/contracts';
import { Rounds, type Clock } from '@tavus-fleet/lifecycle';

/** What the sweeper sees of a conversation. */
export type Waiting = {
  readonly state: ConversationState;
  readonly createdAt: number;
  readonly startTimeoutSeconds: number;
};

/** All times by Redis' clock, ms since 1970: ours may be off by more than a start's limit. */
export interface SweeperPort {
  /** Whether this worker does this round; one of the fleet is enough. */
  turn(): Promise<boolean>;
  nowMs(): Promise<number>;
  /** Data of start jobs that wait, the next ones first, at most `limit`. */
  jobs(limit: number): Promise<readonly unknown[]>;
  /** Makes the record of a job that came without one, and sees to it that it is found among those that wait. */
  adopt(data: StartData): Promise<void>;
  /** Conversations that are said to wait, the oldest first, at most `limit`. */
  queued(limit: number): Promise<readonly { readonly id: string; readonly since: number }[]>;
  record(conversationId: string): Promise<Waiting | undefined>;
  forget(ids: readonly string[]): Promise<void>;
  failStartTimeout(conversationId: string): Promise<void>;
  /** Of these, those that nobody owns and that have no start job. */
  forgotten(ids: readonly string[]): Promise<readonly string[]>;
  wakeUp(conversationId: string): Promise<void>;
}

const ASK_EVERY_MS = 1_000;
const JOBS = 100;
/** Beyond this many in line the last ones wait to be looked at until earlier ones have gone. */
const QUEUED = 1_000;
/** A record without a job for this long has lost it: whoever wrote the one adds the other within milliseconds. */
const JOBLESS_MS = 5_000;
/** A place in line without a record: its maker died in between, or has been about it for long. */
const RECORDLESS_MS = 60_000;

/**
 * Looks after conversations that nobody owns yet. The record is the truth and a job only its wake-up: one that lost its job gets
 * another; one that came as a job only gets its record, so that it can be stopped while it waits; one that waited longer than its
 * limit ends with its reason, although no slot ever got free. Repairs the index of those that wait on the way.
 */
export class Sweeper {
  readonly #port: SweeperPort;
  readonly #onError: (error: unknown) => void;
  readonly #rounds: Rounds;

  constructor(port: SweeperPort, clock: Clock, onError: (error: unknown) => void) {
    this.#port = port;
    this.#onError = onError;
    this.#rounds = new Rounds(() => this.#sweep(), { everyMs: ASK_EVERY_MS, clock, onError });
  }

  start(): void {
    this.#rounds.start();
  }

  /** One pass, if it is this worker's turn; one that is still under way is not overtaken. Never rejects. */
  sweep(): Promise<void> {
    return this.#rounds.now();
  }

  close(): Promise<void> {
    return this.#rounds.close();
  }

  async #sweep(): Promise<void> {
    const port = this.#port;
    if (!(await port.turn())) return;
    await this.#each(await port.jobs(JOBS), async (job) => {
      const data = StartData.safeParse(job);
      // Without a request it is our api's, which writes the record first; malformed, the claimer fails it with the field that is wrong.
      if (data.success && data.data.request) await port.adopt(data.data);
    });
    const queued = await port.queued(QUEUED);
    const now = await port.nowMs(); // after the list, so that nothing in it is younger than now
    const stale: string[] = [];
    const jobless: string[] = [];
    await this.#each(queued, async ({ id, since }) => {
      const record = await port.record(id);
      if (!record) {
        if (now - since > RECORDLESS_MS) stale.push(id);
      } else if (record.state !== 'queued') stale.push(id);
      else if (now - record.createdAt > record.startTimeoutSeconds * 1_000) await port.failStartTimeout(id);
      else if (now - record.createdAt > JOBLESS_MS) jobless.push(id);
    });
    await port.forget(stale);
    if (jobless.length > 0) await this.#each(await port.forgotten(jobless), (id) => port.wakeUp(id));
  }

  /** Side by side, so that they share round trips. One that fails keeps none of the others waiting for ever. */
  async #each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    await Promise.all(items.map((item) => work(item).catch(this.#onError)));
  }
}
