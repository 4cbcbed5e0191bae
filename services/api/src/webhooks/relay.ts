import {
  asFleetError,
  BY_QUEUE,
  isFinal,
  isWebhookEvent,
  webhookBody,
  webhookId,
  type ConversationRecord,
  type DeliverData,
  type EventEnvelope,
} from '@tavus-fleet/contracts';
import { sleep, type Clock } from '@tavus-fleet/lifecycle';
import type { DueConversation } from '@tavus-fleet/redis';

/** What the relay needs of Redis. Everything rejects with `redis-unavailable` while Redis is silent. */
export interface RelayPort {
  due(limit: number): Promise<readonly DueConversation[]>;
  conversation(id: string): Promise<ConversationRecord | undefined>;
  relayedUpTo(id: string): Promise<string>;
  events(id: string, after: string): Promise<{ readonly events: readonly EventEnvelope[]; readonly lastId: string }>;
  /** Puts them into the queue of that API key; one whose id is there already is left alone. */
  enqueue(keyName: string, webhooks: readonly DeliverData[]): Promise<void>;
  advance(id: string, eventId: string): Promise<unknown>;
  done(due: DueConversation): Promise<unknown>;
}

type Options = {
  readonly port: RelayPort;
  /** Names of the API keys that have an endpoint. */
  readonly endpoints: ReadonlySet<string>;
  /** Whose the conversations are that came straight through the queue: the only key's, where there is one only. */
  readonly queueOwner: string | undefined;
  readonly clock: Clock;
  readonly log: { warn(fields: object, message: string): void };
};

const POLL_MS = 200;
const ERROR_PAUSE_MS = 1_000;
const AT_ONCE = 16;

/**
 * Makes webhooks of events: for every conversation that is due it reads on from the last event that was relayed, puts what is for the
 * backend into the key's queue, and only then notes how far it came. A death between the two puts the same ids in again. Every replica
 * of the api runs one; they share the conversations.
 */
export class WebhookRelay {
  readonly #options: Options;
  readonly #life = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when the look under way is through. May be called twice, or before start. */
  async close(): Promise<void> {
    this.#life.abort();
    await this.#running;
  }

  /** One look; answers whether there may be more at once. */
  async look(): Promise<boolean> {
    const { port } = this.#options;
    const due = await port.due(AT_ONCE);
    const outcomes = await Promise.allSettled(due.map((each) => this.#relay(each)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
    return due.length === AT_ONCE;
  }

  async #run(): Promise<void> {
    const { signal } = this.#life;
    const { clock, log } = this.#options;
    let silent = false;
    while (!signal.aborted) {
      let pauseMs = POLL_MS;
      try {
        if (await this.look()) pauseMs = 0;
        silent = false;
      } catch (error) {
        pauseMs = ERROR_PAUSE_MS;
        if (!silent) log.warn({ err: error }, 'webhooks wait; looking again');
        silent = true; // said once per outage
      }
      await sleep(clock, pauseMs, signal).catch(() => undefined); // closing: the loop's condition sees it
    }
  }

  async #relay(due: DueConversation): Promise<void> {
    const { port, log } = this.#options;
    const { id } = due;
    let record: ConversationRecord | undefined;
    try {
      record = await port.conversation(id);
    } catch (error) {
      if (asFleetError(error).code !== 'internal') throw error;
      log.warn({ conversationId: id, err: error }, 'a malformed record has no webhooks');
    }
    const keyName = record && this.#endpointOf(record);
    if (!record || keyName === undefined) return void (await port.done(due));
    let after = await port.relayedUpTo(id);
    for (;;) {
      const page = await port.events(id, after);
      if (page.lastId === after) break;
      const webhooks = page.events.filter(isWebhookEvent).map((event) => webhookOf(record, event));
      if (webhooks.length > 0) await port.enqueue(keyName, webhooks);
      await port.advance(id, page.lastId);
      after = page.lastId;
    }
    // The record was read before the events: one that was final then had written its last event. What comes later, from Tavus, is noted anew.
    if (isFinal(record.state)) await port.done(due);
  }

  #endpointOf({ createdBy }: ConversationRecord): string | undefined {
    const { endpoints, queueOwner } = this.#options;
    const name = createdBy === BY_QUEUE ? queueOwner : createdBy;
    return name !== undefined && endpoints.has(name) ? name : undefined;
  }
}

function webhookOf({ conversationId, spec: { metadata } }: ConversationRecord, event: EventEnvelope): DeliverData {
  const body = JSON.stringify(webhookBody({ conversationId, metadata }, event));
  return { v: 1, id: webhookId(conversationId, event.id), body };
}
