import { setTimeout as pause } from 'node:timers/promises';
import { connectRedis, createKeys, addFrame, silentLog, type RedisConnection } from '@tavus-fleet/redis';
import type { Stack } from '@tavus-fleet/testkit';
import { z } from 'zod';

const Accepted = z.object({ conversationId: z.string() });
const View = z.object({
  state: z.string(),
  endReason: z.string().optional(),
  metrics: z.object({ videoFps: z.number().optional() }).optional(),
});
const CHUNK_MS = 20;
const RATE = 24_000;
const START_MS = 45_000;

/** Conversations of one stack that all speak all the time, in real time, as long as it is open. */
export class Conversations implements AsyncDisposable {
  readonly #stack: Stack;
  readonly #redis: RedisConnection;
  #ids: string[] = [];
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #speech: Uint8Array<ArrayBuffer> = tone();
  #chunk = 0;
  #framesFailed = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#redis = connectRedis(stack.redisUrl, { role: 'commands', name: 'density', log: silentLog });
    const startedAt = performance.now();
    this.#timer = setInterval(() => {
      for (const due = (performance.now() - startedAt) / CHUNK_MS; this.#chunk < due; this.#chunk += 1) this.#speak();
    }, CHUNK_MS);
  }

  get ids(): readonly string[] {
    return this.#ids;
  }

  /** Pieces of speech that Redis did not take in time: beyond none, the machine was overloaded. */
  get framesFailed(): number {
    return this.#framesFailed;
  }

  /** Starts one more; resolves with its id when it is live. */
  async add(request: object, signal: AbortSignal): Promise<string> {
    const { conversationId } = Accepted.parse(
      await this.#json('POST', '/v1/conversations', signal, { replicaId: 'r-density', ...request }),
    );
    const until = Date.now() + START_MS;
    for (;;) {
      const view = await this.view(conversationId, signal);
      if (view.state === 'live') break;
      if (view.endReason !== undefined || Date.now() > until)
        throw new Error(`A conversation is ${view.state} (${view.endReason ?? 'not live in time'}).`);
      await pause(100, undefined, { signal });
    }
    this.#ids.push(conversationId);
    return conversationId;
  }

  /** Ends one; resolves when it is over. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    this.#ids = this.#ids.filter((each) => each !== id);
    await this.#json('POST', `/v1/conversations/${id}/cancel`, signal, {});
    while ((await this.view(id, signal)).endReason === undefined) await pause(100, undefined, { signal });
  }

  async view(id: string, signal: AbortSignal): Promise<z.infer<typeof View>> {
    return View.parse(await this.#json('GET', `/v1/conversations/${id}`, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#redis.disconnect();
  }

  #speak(): void {
    const at = (this.#chunk * CHUNK_MS * RATE) / 1_000;
    const from = (at % (this.#speech.length / 2)) * 2;
    const audio = this.#speech.subarray(from, from + (CHUNK_MS * RATE * 2) / 1_000);
    for (const id of this.#ids)
      addFrame(this.#redis, createKeys('fleet'), id, { type: 'tts-audio', rate: RATE, channels: 1, audio }).catch(
        () => (this.#framesFailed += 1),
      );
  }

  async #json(method: string, path: string, signal: AbortSignal, body?: object): Promise<unknown> {
    const headers = { authorization: `Bearer ${this.#stack.apiKey}`, 'content-type': 'application/json' };
    const response = await fetch(`${this.#stack.api.url}${path}`, {
      method,
      headers,
      signal,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
    return response.json();
  }
}

/** A second of a hum with a beat: the encoders have work as with speech, and no silence that they could skip. */
function tone(): Uint8Array<ArrayBuffer> {
  const samples = Int16Array.from(
    { length: RATE },
    (_, i) => 6_000 * Math.sin((2 * Math.PI * 180 * i) / RATE) * (1 + Math.sin((2 * Math.PI * 4 * i) / RATE)),
  );
  return new Uint8Array(samples.buffer);
}
