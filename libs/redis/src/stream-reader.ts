import { sleep, systemClock, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import type { RedisConnection } from './connect.ts';
import { compareIds, readEntries, type RawEntry, type StreamEntry } from './entries.ts';
import { silentLog, type Log } from './log.ts';

/** Gets all entries of one stream that one reply brought, in order. */
export type OnEntries = (entries: readonly StreamEntry[]) => void;

/** Where entries come from: the port that a session sees; one connection for all (below) or one each (Cluster). */
export interface StreamSource {
  /**
   * Calls back with every entry after `fromId` (`0` = from the start), each once, in order. `fromId` is a real id: `$` would lose
   * what arrives between two reads. The answer stops it; after that no callback comes. Nothing pauses a subscription:
   * back-pressure is the subscriber's business.
   */
  subscribe(key: string, fromId: string, onEntries: OnEntries): () => void;
  /** May be called twice. */
  close(): Promise<void>;
}

export type StreamReaderOptions = {
  /** A connection of role `blocking` that nothing else uses; the reader closes it. */
  readonly blocking: RedisConnection;
  /**
   * How a blocked read is woken when the set of streams changes: an entry in a private stream that is always read. Rejected:
   * CLIENT UNBLOCK, which is lost when it arrives between two reads, where an entry stays.
   */
  readonly bell?: { readonly key: string; readonly commands: RedisConnection };
  readonly clock?: Clock;
  readonly log?: Log;
  readonly blockMs?: number;
  /** A read without any reply for blockMs and this long: the connection is dead though it looks open. */
  readonly graceMs?: number;
};

const MAX_ENTRIES_PER_STREAM = 128;
const RETRY_MS = 50;
const BELL_TTL_S = 3600;

type Subscriber = { readonly onEntries: OnEntries; at: string };
type Topic = { readonly key: string; readonly subscribers: Set<Subscriber> };
/** The set of streams in the order of a read; made anew only when the set changes, since a read leaves for almost every entry. */
type Plan = {
  readonly topics: readonly Topic[];
  readonly keys: readonly string[];
  readonly place: ReadonlyMap<string, number>;
};
type Read = { readonly plan: Plan; readonly from: readonly string[]; readonly reply: Promise<RawReply> };
type RawReply = readonly (readonly [key: Buffer, entries: readonly RawEntry[]])[] | null;

/**
 * Reads all streams of a worker with one blocking connection. Each subscriber has its own position, moved only when entries
 * were handed to it, so a lost connection neither loses nor doubles any. Two on one stream share the read: it starts
 * at the one furthest behind, and each skips what it has. Entries are handed out before the next read leaves: the other
 * way round each waits for our own write of a hundred keys and ids (measured: half as much latency again at 2500 entries/s).
 * So a callback must be short.
 */
export class StreamReader implements StreamSource {
  readonly #blocking: RedisConnection;
  readonly #bell: StreamReaderOptions['bell'];
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #blockMs: number;
  readonly #graceMs: number;
  readonly #topics = new Map<string, Topic>();
  readonly #stop = new AbortController();
  #bellTopic: Topic | undefined;
  #plan: Plan | undefined;
  #loop: Promise<void> | undefined;
  #watch: Timer | undefined;
  #repliedAt = 0;
  #ringing = false;
  #callbackErrors = 0;

  constructor(options: StreamReaderOptions) {
    this.#blocking = options.blocking;
    this.#bell = options.bell;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#blockMs = options.blockMs ?? 1000;
    this.#graceMs = options.graceMs ?? 1500;
  }

  subscribe(key: string, fromId: string, onEntries: OnEntries): () => void {
    if (this.#stop.signal.aborted) throw new Error('The stream reader is closed.');
    if (!/^\d+(-\d+)?$/.test(fromId))
      throw new Error('A subscription starts after an entry id, for example 0 or 1690000000000-0.');
    const subscriber: Subscriber = { onEntries, at: fromId };
    const topic = this.#topics.get(key) ?? { key, subscribers: new Set() };
    topic.subscribers.add(subscriber);
    this.#topics.set(key, topic);
    this.#plan = undefined;
    if (this.#loop) this.#ring();
    else this.#start();
    return () => {
      topic.subscribers.delete(subscriber);
      if (topic.subscribers.size === 0) this.#drop(topic);
    };
  }

  /** Streams being read. */
  get size(): number {
    return this.#topics.size;
  }

  /** Callbacks that threw; each costs only its own subscriber that one batch. */
  get callbackErrors(): number {
    return this.#callbackErrors;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#topics.clear();
    this.#watch?.[Symbol.dispose]();
    this.#blocking.disconnect(); // fails the read under way: the loop ends without waiting for BLOCK
    await this.#loop;
  }

  #start(): void {
    if (this.#bell)
      this.#bellTopic = { key: this.#bell.key, subscribers: new Set([{ onEntries: () => undefined, at: '0' }]) };
    this.#repliedAt = this.#clock.now();
    this.#watch = this.#clock.every(Math.max(100, this.#graceMs / 3), () => this.#checkSilence());
    this.#loop = this.#run();
  }

  async #run(): Promise<void> {
    let read = this.#send();
    while (!this.#stop.signal.aborted) {
      try {
        const reply = (await read.reply) ?? [];
        this.#repliedAt = this.#clock.now();
        const deliveries = this.#take(read, reply);
        for (const deliver of deliveries) deliver();
        read = this.#send();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#log.warn(
          { error: error instanceof Error ? error.message : 'not an Error' },
          'stream read failed; reading on',
        );
        if (error instanceof Error && error.message.startsWith('WRONGTYPE'))
          await this.#dropWrongKeys(read.plan.topics);
        await sleep(this.#clock, RETRY_MS, this.#stop.signal).catch(() => undefined); // closed meanwhile: the loop's condition sees it
        this.#repliedAt = this.#clock.now();
        read = this.#send();
      }
    }
  }

  #send(): Read {
    const plan = (this.#plan ??= this.#makePlan());
    const from = plan.topics.map((topic) => furthestBehind(topic));
    const reply = plan.topics.length === 0 ? this.#nothing() : this.#read(plan, from);
    // Awaited one turn later, or never when the reader is closed in between; a rejection must not count as unhandled: it ends the process.
    reply.catch(() => undefined);
    return { plan, from, reply };
  }

  async #nothing(): Promise<null> {
    await sleep(this.#clock, this.#blockMs, this.#stop.signal);
    return null;
  }

  #read({ keys }: Plan, from: readonly string[]): Promise<RawReply> {
    const limits = ['COUNT', MAX_ENTRIES_PER_STREAM, 'BLOCK', this.#blockMs];
    return xread(this.#blocking, [...limits, 'STREAMS', ...keys, ...from]);
  }

  #makePlan(): Plan {
    const topics = [...this.#topics.values(), ...(this.#bellTopic ? [this.#bellTopic] : [])];
    const keys = topics.map((topic) => topic.key);
    return { topics, keys, place: new Map(keys.map((key, i) => [key, i])) };
  }

  /** A key that is no stream fails the read of all others with it: it is read no more, its subscriber hears nothing. */
  async #dropWrongKeys(topics: readonly Topic[]): Promise<void> {
    for (const topic of topics) {
      const type = await this.#blocking.type(topic.key).catch(() => 'unknown'); // asked again with the next failed read
      if (type === 'stream' || type === 'none' || type === 'unknown') continue;
      this.#log.warn({ key: topic.key, type }, 'not a stream; left out');
      this.#drop(topic);
    }
  }

  /** Moves positions at once and answers what is to be handed out. */
  #take(read: Read, reply: NonNullable<RawReply>): (() => void)[] {
    const deliveries: (() => void)[] = [];
    for (const [rawKey, raw] of reply) {
      const index = read.plan.place.get(rawKey.toString('utf8'));
      const topic = index === undefined ? undefined : read.plan.topics[index];
      const from = index === undefined ? undefined : read.from[index];
      const last = raw.at(-1)?.[0].toString('latin1');
      if (!topic || from === undefined || last === undefined) continue;
      const entries = topic === this.#bellTopic ? [] : readEntries(raw);
      for (const subscriber of topic.subscribers) {
        // This read began after what the subscriber still lacks (it came while the read was under way): the next one is its.
        if (subscriber.at !== from && compareIds(subscriber.at, from) < 0) continue;
        const fresh =
          subscriber.at === from ? entries : entries.filter((entry) => compareIds(entry.id, subscriber.at) > 0);
        if (compareIds(last, subscriber.at) > 0) subscriber.at = last;
        if (fresh.length > 0) deliveries.push(() => this.#deliver(topic, subscriber, fresh));
      }
    }
    return deliveries;
  }

  #deliver(topic: Topic, subscriber: Subscriber, entries: readonly StreamEntry[]): void {
    if (!topic.subscribers.has(subscriber)) return; // unsubscribed by an earlier callback of the same reply
    try {
      subscriber.onEntries(entries);
    } catch (error) {
      this.#callbackErrors += 1;
      this.#log.warn(
        { key: topic.key, error: error instanceof Error ? error.message : 'not an Error' },
        'a stream subscriber threw',
      );
    }
  }

  #drop(topic: Topic): void {
    if (this.#topics.get(topic.key) !== topic) return;
    this.#topics.delete(topic.key);
    this.#plan = undefined;
  }

  /** One entry wakes the blocked read; changes of one turn share it. If it fails, the read ends by itself within blockMs. */
  #ring(): void {
    if (!this.#bell || this.#ringing) return;
    this.#ringing = true;
    const { key, commands } = this.#bell;
    setImmediate(() => {
      this.#ringing = false;
      Promise.all([commands.xadd(key, 'MAXLEN', 1, '*', 'ring', '1'), commands.expire(key, BELL_TTL_S)]).catch(
        (error: unknown) =>
          this.#log.warn({ error: error instanceof Error ? error.message : 'not an Error' }, 'the bell did not ring'),
      );
    });
  }

  #checkSilence(): void {
    if (this.#clock.now() - this.#repliedAt < this.#blockMs + this.#graceMs) return;
    this.#repliedAt = this.#clock.now();
    // `connect`: open, and nobody has answered its greeting; this role has no deadline that would end it. In every other state it comes back by itself.
    if (this.#blocking.status !== 'ready' && this.#blocking.status !== 'connect') return;
    this.#log.warn({ silentMs: this.#blockMs + this.#graceMs }, 'redis is silent; connecting again');
    this.#blocking.disconnect(true);
  }
}

function furthestBehind(topic: Topic): string {
  let behind: string | undefined;
  for (const { at } of topic.subscribers) if (behind === undefined || compareIds(at, behind) < 0) behind = at;
  return behind ?? '0';
}

async function xread(connection: RedisConnection, args: readonly (string | number)[]): Promise<RawReply> {
  // `callBuffer` because the driver types xreadBuffer for a fixed number of keys only.
  // Safe: the shape of XREAD's reply is documented, and the driver gives both protocols' replies in it.
  return (await connection.callBuffer('xread', [...args])) as RawReply;
}
