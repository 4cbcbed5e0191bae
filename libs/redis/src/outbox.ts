import { Cluster } from 'ioredis';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import { silentLog, type Log } from './log.ts';
import { listScript, wordScript } from './scripts.ts';

const noteScript = wordScript('webhook-note', ['noted']);
const dueScript = listScript('webhook-due');
const doneScript = wordScript('webhook-done', ['done', 'news']);
const advanceScript = wordScript('webhook-advance', ['advanced', 'absent']);

/** How long one that was taken, or is about to be written, waits for the next look. */
const LOOK_AGAIN_MS = 10_000;

/** A conversation to look at; `claim` tells whether anything was noted since. */
export type DueConversation = { readonly id: string; readonly claim: string };

/**
 * Which conversations may have events that no webhook was made of: the index of an outbox whose letters are the events themselves.
 * Both ends are safe against a death at any moment. A writer notes the conversation *before* it appends, so that an event without a
 * note cannot be; whoever relays takes a conversation for ten seconds only, and removes it when it has seen the end. The note
 * after the append is but a wake-up. Rejected alternative: adding the job from the script that appends; the queue has another hash tag.
 */
export class WebhookOutbox {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;
  readonly #log: Log;

  constructor(redis: RedisConnection, keys: Keys, log: Log = silentLog) {
    this.#redis = redis;
    this.#keys = keys;
    this.#log = log;
  }

  /** Runs a write that may append events for webhooks, with the notes around it. They never make the write fail or wait. */
  async around<T>(id: string, write: () => Promise<T>): Promise<T> {
    const noted = this.#note(id, LOOK_AGAIN_MS);
    // One connection keeps the order of what is sent on it; the nodes of a Cluster do not know of each other.
    if (this.#redis instanceof Cluster) await noted;
    const answer = await write();
    void this.#note(id, 0);
    return answer;
  }

  /** Takes up to `limit` conversations that are to be looked at. */
  async due(limit: number): Promise<DueConversation[]> {
    const flat = await redisCall(() => dueScript.run(this.#redis, [this.#keys.fleet.webhooks], limit, LOOK_AGAIN_MS));
    return Array.from({ length: flat.length / 2 }, (_, i) => ({ id: flat[2 * i] ?? '', claim: flat[2 * i + 1] ?? '' }));
  }

  /** No event will follow and all were relayed. `news`: something was noted meanwhile, so it stays. */
  async done({ id, claim }: DueConversation): Promise<'done' | 'news'> {
    return redisCall(() => doneScript.run(this.#redis, [this.#keys.fleet.webhooks], id, claim));
  }

  /** Id of the last event that was relayed; `0` = none. */
  async relayedUpTo(id: string): Promise<string> {
    return (await redisCall(() => this.#redis.hget(this.#keys.conversation(id).record, 'webhooksUpTo'))) ?? '0';
  }

  async advance(id: string, eventId: string): Promise<'advanced' | 'absent'> {
    return redisCall(() => advanceScript.run(this.#redis, [this.#keys.conversation(id).record], eventId));
  }

  async #note(id: string, delayMs: number): Promise<void> {
    try {
      await redisCall(() => noteScript.run(this.#redis, [this.#keys.fleet.webhooks], id, delayMs));
    } catch (error) {
      // The write it belongs to fails for the same reason, or is worth more than its webhook.
      this.#log.warn({ conversationId: id, error: String(error) }, 'a conversation was not noted for webhooks');
    }
  }
}
