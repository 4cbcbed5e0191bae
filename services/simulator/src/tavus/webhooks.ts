import type { FaultName, FaultSubject } from '../faults.ts';
import { LIMITS } from './limits.ts';

/** Envelope as documented. `properties` always carries the replica under both names. */
export type TavusEvent = {
  readonly properties: Readonly<Record<string, unknown>>;
  readonly conversation_id: string;
  readonly webhook_url: string;
  readonly event_type: string;
  readonly message_type: 'system' | 'application';
  readonly timestamp: string;
};

export type WebhookLog = { warn(values: Record<string, unknown>, message: string): void };

/** This machine only: a simulator must not be a way to send requests to strangers. */
export function isLoopback(url: string): boolean {
  const parsed = URL.parse(url);
  if (parsed === null || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) return false;
  return parsed.hostname === 'localhost' || parsed.hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(parsed.hostname);
}

/**
 * Delivers events to callback_urls: one try each (Tavus documents no retry), five seconds, no redirects, four at a time,
 * so that order is not promised (Tavus promises none). A full queue drops the newest and counts it. `close()` gives up
 * what is under way.
 */
export class Webhooks {
  readonly #take: (fault: FaultName, subject: FaultSubject) => unknown;
  readonly #log: WebhookLog;
  readonly #queue: TavusEvent[] = [];
  readonly #closing = new AbortController();
  #running = 0;
  #idle: (() => void)[] = [];
  readonly counters = { sent: 0, failed: 0, droppedQueueFull: 0, droppedByFault: 0, refusedNotLoopback: 0 };

  constructor(deps: { take: (fault: FaultName, subject: FaultSubject) => unknown; log: WebhookLog }) {
    this.#take = deps.take;
    this.#log = deps.log;
  }

  /** Never throws and never waits. */
  send(event: TavusEvent, subject: FaultSubject): void {
    if (event.webhook_url === '' || this.#closing.signal.aborted) return;
    if (!isLoopback(event.webhook_url)) {
      this.counters.refusedNotLoopback += 1;
      return;
    }
    if (this.#take('webhook-drop', subject) !== undefined) {
      this.counters.droppedByFault += 1;
      return;
    }
    const copies = this.#take('webhook-duplicate', subject) === undefined ? 1 : 2;
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.#queue.length >= LIMITS.webhookQueue) this.counters.droppedQueueFull += 1;
      else this.#queue.push(event);
    }
    this.#pump();
  }

  /** Resolves when nothing is queued or under way. */
  async flushed(): Promise<void> {
    if (this.#running === 0 && this.#queue.length === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Gives up; may be called twice. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#queue.length = 0;
    await this.flushed();
  }

  #pump(): void {
    while (this.#running < 4) {
      const event = this.#queue.shift();
      if (event === undefined) break;
      this.#running += 1;
      void this.#deliver(event).finally(() => {
        this.#running -= 1;
        this.#pump();
      });
    }
    if (this.#running === 0 && this.#queue.length === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #deliver(event: TavusEvent): Promise<void> {
    try {
      const response = await fetch(event.webhook_url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(event),
        redirect: 'manual',
        signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(LIMITS.webhookDeadlineMs)]),
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`status ${response.status}`);
      this.counters.sent += 1;
    } catch (cause) {
      this.counters.failed += 1;
      // The URL carries a secret token, so only the reason is logged.
      this.#log.warn(
        { eventType: event.event_type, reason: cause instanceof Error ? cause.message : 'unknown' },
        'webhook failed',
      );
    }
  }
}
