import {
  conversationKeys,
  FleetError,
  isFinal,
  parseEventEntry,
  readRecord,
  viewOf,
  type ControlData,
  type ConversationKeys,
  type ConversationState,
  type ConversationView,
  type EventEnvelope,
  type StartRequest,
} from '@tavus-fleet/contracts';
import { retry } from '@tavus-fleet/lifecycle';
import type { Entry, FrameSender, MediaStream, Transport } from '../transport.ts';
import { redisCall } from './call.ts';
import { connect, isCluster, type Connection } from './connection.ts';
import { RedisFrameSender } from './frame-sender.ts';
import { JobQueue } from './job-queue.ts';
import { StreamFeed } from './stream-feed.ts';

/** Tried until the caller's deadline: Redis is back within a second or two of a failover. */
const AGAIN = {
  attempts: Number.POSITIVE_INFINITY,
  firstMs: 100,
  maxMs: 1_000,
  when: (error: FleetError) => error.code === 'redis-unavailable',
};
/** A stream that brings nothing for this long may belong to a conversation that is over. */
const IDLE_MS = 1_000;

export type RedisOptions = {
  readonly redis: string;
  readonly keyPrefix: string;
  /** How long Redis may be silent before whoever reads or writes is told. */
  readonly patienceMs: number;
};

/** The fleet straight through Redis: jobs for its workers, frames and events in streams. It writes no record: the worker that takes the job does. */
export class RedisTransport implements Transport {
  readonly #options: RedisOptions;
  readonly #commands: Connection;
  readonly #jobs: JobQueue;
  readonly #feed: StreamFeed;

  constructor(options: RedisOptions) {
    const { redis, keyPrefix, patienceMs } = options;
    this.#options = options;
    this.#commands = connect(redis, 'commands');
    this.#jobs = new JobQueue(redis, keyPrefix);
    this.#feed = new StreamFeed({
      open: () => connect(redis, 'blocking'),
      onePerConnection: isCluster(redis),
      patienceMs,
    });
  }

  async start(
    request: StartRequest,
    requestId: string,
    signal: AbortSignal,
  ): Promise<{ conversationId: string; state: ConversationState }> {
    const conversationId = request.conversationId ?? requestId;
    const used = await this.#tried(signal, () => this.#commands.exists(this.#keys(conversationId).record));
    if (used > 0)
      throw new FleetError('conversation-id-used', 'There is, or was, a conversation of that id.', {
        field: 'conversationId',
      });
    await retry(AGAIN, { signal }, () => this.#jobs.add('start', { v: 1, conversationId, request }, signal));
    return { conversationId, state: 'queued' };
  }

  async view(conversationId: string, signal: AbortSignal): Promise<ConversationView> {
    const hash = await this.#tried(signal, () => this.#commands.hgetall(this.#keys(conversationId).record));
    const record = readRecord(conversationId, hash);
    if (!record) throw new FleetError('not-found', 'There is no such conversation, or no worker has seen it yet.');
    return viewOf(record);
  }

  async ask(
    conversationId: string,
    verb: 'stop' | 'cancel',
    reason: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const data: ControlData = { v: 1, conversationId, ...(reason === undefined ? {} : { reason }) };
    await retry(AGAIN, { signal }, () => this.#jobs.add(verb, data, signal));
  }

  frames(conversationId: string): FrameSender {
    const keys = this.#keys(conversationId);
    const { patienceMs } = this.#options;
    return new RedisFrameSender({ redis: this.#commands, conversationId, keys, patienceMs });
  }

  async *events(conversationId: string, after: string, signal: AbortSignal): AsyncGenerator<EventEnvelope, void, void> {
    for await (const { id, fields } of this.#read(conversationId, 'events', after, signal)) {
      const parsed = parseEventEntry(id, fields);
      if ('malformed' in parsed) continue; // of a newer fleet: what this version cannot name it cannot tell
      yield parsed.event;
      if (parsed.event.type === 'ended') return;
    }
  }

  media(conversationId: string, stream: MediaStream, after: string, signal: AbortSignal): AsyncIterable<Entry> {
    return this.#read(conversationId, stream, after, signal);
  }

  async close(): Promise<void> {
    this.#feed.close();
    await this.#jobs.close();
    this.#commands.disconnect();
  }

  /** Ends when the conversation is over and a further wait brought nothing: what its owner wrote last is then read. */
  async *#read(
    conversationId: string,
    stream: 'events' | MediaStream,
    after: string,
    signal: AbortSignal,
  ): AsyncGenerator<Entry, void, void> {
    const { record, [stream]: key } = this.#keys(conversationId);
    let over = false;
    for await (const batch of this.#feed.read(key, after, IDLE_MS, signal)) {
      yield* batch;
      if (batch.length > 0) continue;
      if (over) return;
      over = await this.#isOver(record);
    }
  }

  /** A look that fails is made again. */
  async #isOver(record: string): Promise<boolean> {
    const state = await this.#commands.hget(record, 'state').catch(() => null);
    return state === 'ended' || state === 'canceled' || state === 'failed' ? isFinal(state) : false;
  }

  #keys(conversationId: string): ConversationKeys {
    return conversationKeys(this.#options.keyPrefix, conversationId);
  }

  #tried<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    return retry(AGAIN, { signal }, () => redisCall(call));
  }
}
