import type { WebhookEndpoint } from '@tavus-fleet/config';
import { DeliverData, firstProblem, queuePrefix, webhookQueue } from '@tavus-fleet/contracts';
import { queueConnection, queueErrors, type RedisConnection } from '@tavus-fleet/redis';
import type { Logger, Metrics } from '@tavus-fleet/telemetry';
import { DelayedError, UnrecoverableError, Worker } from 'bullmq';
import { WebhookFailed, type WebhookSender } from './sender.ts';

/** Of one endpoint and process. More would only wait in line at the receiver. */
const AT_ONCE = 8;
/** What is under way when we leave gets this long, ms; then it goes back to its queue. */
const FINISH_MS = 2_000;

type Options = {
  readonly url: string;
  readonly keyPrefix: string;
  readonly endpoints: readonly WebhookEndpoint[];
  readonly sender: Pick<WebhookSender, 'send'>;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'webhook'>;
};

/**
 * Takes webhooks from their queues and sends them: one queue and one consumer for each endpoint, so that one that hangs keeps only its
 * own waiting. Tries and pauses are the job's (contracts' `webhookRetry`); a process that dies gives its jobs back by BullMQ's stalled check.
 */
export class Deliveries {
  readonly #options: Options;
  readonly #leaving = new AbortController();
  readonly #connection: RedisConnection;
  readonly #workers: readonly Worker[];

  constructor(options: Options) {
    this.#options = options;
    const { url, keyPrefix, endpoints, log } = options;
    this.#connection = queueConnection(url, { role: 'worker', name: 'api-webhooks', log });
    this.#workers = endpoints.map((endpoint) => {
      const worker = new Worker(webhookQueue(endpoint.name), (job, token) => this.#deliver(endpoint, job, token), {
        connection: this.#connection,
        prefix: queuePrefix(keyPrefix),
        concurrency: AT_ONCE,
        autorun: false,
        drainDelay: 2,
        // Renewed while we live, so it may be shorter than an answer takes: what a dead process held is sent within 15 s.
        lockDuration: 10_000,
        stalledInterval: 5_000,
        // A death of ours is not the webhook's failure: its tries are counted by attempts.
        maxStalledCount: 1_000,
        removeOnComplete: { age: 3_600, count: 1_000 },
        removeOnFail: { age: 7 * 24 * 3_600, count: 5_000 },
      });
      worker.on('error', queueErrors(log, `webhooks of ${endpoint.name}`));
      return worker;
    });
  }

  start(): void {
    // The promises are BullMQ's main loops; their failures come through the error event.
    for (const worker of this.#workers) void worker.run();
  }

  /** Nothing new is taken; what is under way is finished or given back. May be called twice. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.#leaving.abort(), FINISH_MS);
    await Promise.all(this.#workers.map((worker) => worker.close()));
    clearTimeout(timer);
    this.#connection.disconnect();
  }

  async #deliver(endpoint: WebhookEndpoint, job: DeliveryJob, token: string | undefined): Promise<void> {
    const { sender, log, metrics } = this.#options;
    const data = DeliverData.safeParse(job.data);
    if (!data.success) {
      const { field, message } = firstProblem(data.error, 'data');
      throw new UnrecoverableError(`${field}: ${message}`);
    }
    try {
      await sender.send(endpoint, data.data, this.#leaving.signal);
      metrics.webhook('delivered');
    } catch (error) {
      if (this.#leaving.signal.aborted) {
        await job.moveToDelayed(Date.now(), token); // burns no attempt: we are the ones who leave
        throw new DelayedError();
      }
      const kind = error instanceof WebhookFailed ? error.kind : 'failed';
      const attempt = job.attemptsMade + 1;
      const last = kind === 'gone' || attempt >= (job.opts.attempts ?? 1);
      metrics.webhook(last ? 'given-up' : kind === 'refused' ? 'refused' : 'failed');
      const fields = { key: endpoint.name, webhookId: data.data.id, attempt, reason: reasonOf(error) };
      if (last) log.error(fields, 'webhook given up');
      else log.warn(fields, 'webhook failed; it is tried again');
      throw kind === 'gone' ? new UnrecoverableError(reasonOf(error)) : error;
    }
  }
}

/** What of a BullMQ job is used here. */
type DeliveryJob = {
  readonly data: unknown;
  readonly attemptsMade: number;
  readonly opts: { readonly attempts?: number };
  moveToDelayed(at: number, token?: string): Promise<void>;
};

const reasonOf = (error: unknown): string => (error instanceof WebhookFailed ? error.message : 'unforeseen');
