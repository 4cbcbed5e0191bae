import { setTimeout as pause } from 'node:timers/promises';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { z } from 'zod';

const Accepted = z.object({ conversationId: z.string() });
const Envelope = z.object({ type: z.string(), at: z.iso.datetime(), data: z.record(z.string(), z.unknown()) });

export type SeenEvent = {
  readonly type: string;
  readonly atMs: number;
  readonly seenAtMs: number;
  readonly data: Readonly<Record<string, unknown>>;
};

/** One conversation as a product backend sees it: over HTTP only, as anybody could write it in any language. */
export class DemoConversation {
  readonly id: string;
  readonly events: SeenEvent[] = [];
  readonly #api: string;
  readonly #key: string;
  readonly #listeners = new Set<(event: SeenEvent) => void>();
  readonly #reading: Promise<void>;

  private constructor(api: string, key: string, id: string, signal: AbortSignal) {
    this.id = id;
    this.#api = api;
    this.#key = key;
    this.#reading = this.#read(signal);
  }

  static async start(api: string, key: string, body: object, signal: AbortSignal): Promise<DemoConversation> {
    const response = await fetch(`${api}/v1/conversations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal,
    });
    if (response.status !== 202) throw new Error(`start answered ${response.status}: ${await response.text()}`);
    return new DemoConversation(api, key, Accepted.parse(await response.json()).conversationId, signal);
  }

  on(listener: (event: SeenEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** The first event that fits, also one that came already. */
  async until(what: string, fits: (event: SeenEvent) => boolean, timeoutMs: number): Promise<SeenEvent> {
    const { promise, resolve } = Promise.withResolvers<SeenEvent>();
    const look = (event: SeenEvent): void => void (fits(event) && resolve(event));
    this.events.forEach(look);
    this.#listeners.add(look);
    const timeout = new AbortController();
    try {
      const late = pause(timeoutMs, undefined, { signal: timeout.signal }).then(() => {
        throw new Error(
          `${what} did not come within ${timeoutMs} ms; seen: ${this.events.map(({ type, data }) => (type === 'state' || type === 'error' ? `${type} ${JSON.stringify(data)}` : type)).join(', ')}`,
        );
      });
      late.catch(() => undefined); // handled by the race; aborted when the event came first
      return await Promise.race([promise, late]);
    } finally {
      timeout.abort();
      this.#listeners.delete(look);
    }
  }

  async post(verb: 'stop' | 'cancel' | 'interrupt'): Promise<void> {
    const response = await fetch(`${this.#api}/v1/conversations/${this.id}/${verb}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#key}` },
    });
    if (response.status !== 202) throw new Error(`${verb} answered ${response.status}: ${await response.text()}`);
  }

  /** Resolves when the event stream has ended: after `ended`. */
  get finished(): Promise<void> {
    return this.#reading;
  }

  async #read(signal: AbortSignal): Promise<void> {
    const response = await fetch(`${this.#api}/v1/conversations/${this.id}/events`, {
      headers: { authorization: `Bearer ${this.#key}`, accept: 'text/event-stream' },
      signal,
    });
    if (!response.ok || !response.body) throw new Error(`events answered ${response.status}`);
    for await (const { data } of response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream())) {
      const { type, at, data: payload } = Envelope.parse(JSON.parse(data));
      const event = { type, atMs: Date.parse(at), seenAtMs: Date.now(), data: payload };
      this.events.push(event);
      for (const listener of this.#listeners) listener(event);
      if (type === 'ended') return;
    }
  }
}
