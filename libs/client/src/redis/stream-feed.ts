import { FleetError } from '@tavus-fleet/contracts';
import { sleep, systemClock, type Clock } from '@tavus-fleet/lifecycle';
import type { Entry } from '../transport.ts';
import { redisCall } from './call.ts';
import type { Connection } from './connection.ts';

/** How long one read waits. Also what a stream that is new to a connection waits at most until it is in the read. */
const BLOCK_MS = 150;
/** Entries per read and stream, and what one reader keeps that its consumer has not taken: one that is full takes no part in reads. */
const COUNT = 64;
const FULL = 128;
const AGAIN_MS = { first: 50, max: 1_000 };

type Reader = {
  readonly key: string;
  at: string;
  readonly kept: Entry[];
  error: FleetError | undefined;
  wake: () => void;
};
type Options = {
  readonly open: () => Connection;
  /** Cluster: one XREAD cannot name keys of two slots. */
  readonly onePerConnection: boolean;
  /** How long Redis may be silent before readers are told. */
  readonly patienceMs: number;
  readonly clock?: Clock;
};

/**
 * Many streams over few connections: one XREAD loop reads all whose consumers have room. A slow consumer leaves its entries in Redis,
 * where they are bounded, and holds up nobody. Each reader has its own position, moved when entries came: a cut neither loses nor doubles any.
 */
export class StreamFeed {
  readonly #options: Options;
  readonly #lanes = new Set<Lane>();
  readonly #life = new AbortController();

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * Entries after that id, oldest first, in batches; an empty batch after `idleMs` in which none came. Ends when the feed is closed;
   * throws the signal's reason, and `redis-unavailable` when Redis stays silent.
   */
  async *read(
    key: string,
    after: string,
    idleMs: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Entry[], void, void> {
    const { clock = systemClock } = this.#options;
    const reader: Reader = { key, at: after, kept: [], error: undefined, wake: () => undefined };
    const lane = this.#laneFor(key);
    lane.add(reader);
    const wake = (): void => reader.wake();
    signal.addEventListener('abort', wake);
    this.#life.signal.addEventListener('abort', wake);
    try {
      for (;;) {
        signal.throwIfAborted();
        if (this.#life.signal.aborted) return;
        if (reader.error) throw reader.error;
        const batch = reader.kept.splice(0);
        if (batch.length > 0) {
          lane.roomAgain();
          yield batch;
          continue;
        }
        const woken = Promise.withResolvers<boolean>();
        reader.wake = () => woken.resolve(true);
        using _idle = clock.after(idleMs, () => woken.resolve(false));
        if (!(await woken.promise)) yield [];
      }
    } finally {
      signal.removeEventListener('abort', wake);
      this.#life.signal.removeEventListener('abort', wake);
      lane.remove(reader);
      if (lane.empty) this.#lanes.delete(lane);
    }
  }

  /** May be called twice. */
  close(): void {
    this.#life.abort();
    for (const lane of this.#lanes) lane.close();
    this.#lanes.clear();
  }

  /** The first connection that does not read this key already: so within one, entries are told apart by their key alone. */
  #laneFor(key: string): Lane {
    for (const lane of this.#lanes) if (!this.#options.onePerConnection && !lane.has(key)) return lane;
    const lane = new Lane(this.#options);
    this.#lanes.add(lane);
    return lane;
  }
}

/** One connection and the readers on it. It reads while it has any, and closes with the last. */
class Lane {
  readonly #options: Options;
  readonly #connection: Connection;
  readonly #readers = new Map<string, Reader>();
  readonly #life = new AbortController();
  #ring: () => void = () => undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#connection = options.open();
    void this.#run(); // never rejects; ends with close()
  }

  has(key: string): boolean {
    return this.#readers.has(key);
  }

  get empty(): boolean {
    return this.#readers.size === 0;
  }

  add(reader: Reader): void {
    this.#readers.set(reader.key, reader);
    this.#ring();
  }

  remove(reader: Reader): void {
    this.#readers.delete(reader.key);
    if (this.empty) this.close();
  }

  roomAgain(): void {
    this.#ring();
  }

  close(): void {
    this.#life.abort();
    this.#ring();
    this.#connection.disconnect(); // fails the read under way
  }

  async #run(): Promise<void> {
    const { clock = systemClock, patienceMs } = this.#options;
    let downSince: number | undefined;
    let pauseMs = AGAIN_MS.first;
    while (!this.#life.signal.aborted) {
      const hungry = [...this.#readers.values()].filter(({ kept }) => kept.length < FULL);
      if (hungry.length === 0) {
        await new Promise<void>((resolve) => (this.#ring = resolve));
        continue;
      }
      try {
        this.#hand(hungry, await this.#xread(hungry));
        downSince = undefined;
        pauseMs = AGAIN_MS.first;
      } catch (error) {
        if (this.#life.signal.aborted) return;
        downSince ??= clock.now();
        const known =
          error instanceof FleetError ? error : new FleetError('internal', 'A read failed.', { cause: error });
        if (!known.retry || known.code === 'internal' || clock.now() - downSince > patienceMs) this.#fail(known);
        await sleep(clock, pauseMs, this.#life.signal).catch(() => undefined); // closed: the loop's condition sees it
        pauseMs = Math.min(AGAIN_MS.max, pauseMs * 2);
      }
    }
  }

  async #xread(readers: readonly Reader[]): Promise<RawReply> {
    const keys = readers.map(({ key }) => key);
    const ids = readers.map(({ at }) => at);
    const args = ['COUNT', COUNT, 'BLOCK', BLOCK_MS, 'STREAMS', ...keys, ...ids];
    // `callBuffer` because the driver types xreadBuffer for a fixed number of keys only.
    // Safe: the shape of XREAD's reply is documented, and the driver gives both protocols' replies in it.
    return (await redisCall(() => this.#connection.callBuffer('xread', args))) as RawReply;
  }

  #hand(asked: readonly Reader[], reply: RawReply): void {
    for (const [rawKey, raw] of reply ?? []) {
      const key = rawKey.toString();
      const reader = asked.find((each) => each.key === key);
      if (!reader || this.#readers.get(key) !== reader) continue; // gone while the read was under way; another may have its place
      for (const [id, pairs] of raw) reader.kept.push({ id: id.toString('latin1'), fields: fieldsOf(pairs) });
      reader.at = reader.kept.at(-1)?.id ?? reader.at;
      reader.wake();
    }
  }

  #fail(error: FleetError): void {
    for (const reader of this.#readers.values()) {
      reader.error = error;
      reader.wake();
    }
  }
}

type RawReply =
  | readonly (readonly [key: Buffer, entries: readonly (readonly [id: Buffer, pairs: readonly Buffer[]])[]])[]
  | null;

/**
 * Bytes as what they are typed as, in a buffer of their own: of the driver's Buffers `slice()` is a view, and `buffer` is the pool that they
 * lie in, at any offset. Whoever makes samples of them would meet that.
 */
function fieldsOf(pairs: readonly Buffer[]): Map<string, Uint8Array> {
  const fields = new Map<string, Uint8Array>();
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const [name, value] = [pairs[at], pairs[at + 1]];
    if (name && value) fields.set(name.toString(), new Uint8Array(value));
  }
  return fields;
}
