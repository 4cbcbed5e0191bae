import type { WebhookEndpoint } from '@tavus-fleet/config';
import { withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import { Webhook } from 'standardwebhooks';
import { Agent, request } from 'undici';
import { AddressRefused, guardedConnector, type Resolve } from './address-guard.ts';

const CONNECT_MS = 5_000;
/** As long as a receiver may take in all: it should note the event and answer (our choice; Standard Webhooks says 15 to 30 s). */
const ANSWER_MS = 15_000;
/** Of an answer's body no more is read; it says nothing to us. Bytes. */
const BODY_BYTES = 16 * 1024;
const CONNECTIONS = 8;

/** A webhook that was not taken. `refused`: we did not send it; `gone`: the receiver wants no more (410). The message holds no URL. */
export class WebhookFailed extends Error {
  override readonly name = 'WebhookFailed';
  readonly kind: 'failed' | 'refused' | 'gone';

  constructor(kind: 'failed' | 'refused' | 'gone', message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}

type Options = {
  /** CIDR; beyond the public internet. */
  readonly networks: readonly string[];
  readonly version: string;
  readonly clock: Clock;
  readonly resolve?: Resolve;
  readonly answerMs?: number;
};

/** Signs and posts webhooks as Standard Webhooks says. One attempt a call; nothing is followed, nothing is repeated here. */
export class WebhookSender {
  readonly #agent: Agent;
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
    const { networks, resolve } = options;
    this.#agent = new Agent({
      connections: CONNECTIONS,
      connect: guardedConnector(networks, { timeoutMs: CONNECT_MS, ...(resolve ? { resolve } : {}) }),
    });
  }

  /** Resolves when the receiver has taken it (2xx). Rejects with WebhookFailed, or with the signal's reason. */
  async send(endpoint: WebhookEndpoint, message: { id: string; body: string }, signal: AbortSignal): Promise<void> {
    const { answerMs = ANSWER_MS, clock } = this.#options;
    let status: number;
    try {
      status = await withDeadline({ signal, ms: answerMs, what: 'The answer', clock }, (own) =>
        this.#post(endpoint, message, own),
      );
    } catch (error) {
      signal.throwIfAborted();
      throw failureOf(error);
    }
    if (status === 410) throw new WebhookFailed('gone', 'The receiver answered 410: it wants no more of these.');
    if (status < 200 || status > 299) throw new WebhookFailed('failed', `The receiver answered ${status}.`);
  }

  /** Requests under way fail. May be called twice. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #post(
    endpoint: WebhookEndpoint,
    { id, body }: { id: string; body: string },
    own: AbortSignal,
  ): Promise<number> {
    const now = new Date(this.#options.clock.now());
    const signatures = endpoint.secrets.map((secret) => new Webhook(secret).sign(id, now, body));
    const answer = await request(endpoint.url, {
      method: 'POST',
      dispatcher: this.#agent,
      signal: own,
      headers: {
        'content-type': 'application/json',
        'user-agent': `tavus-fleet/${this.#options.version}`,
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
        'webhook-signature': signatures.join(' '),
      },
      body,
    });
    await answer.body.dump({ limit: BODY_BYTES, signal: own });
    return answer.statusCode;
  }
}

function failureOf(error: unknown): WebhookFailed {
  if (error instanceof AddressRefused) return new WebhookFailed('refused', error.message, error);
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown';
  if (code === 'deadline-exceeded') return new WebhookFailed('failed', 'The receiver did not answer in time.', error);
  return new WebhookFailed('failed', `The receiver could not be reached (${code}).`, error);
}
