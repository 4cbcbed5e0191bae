import { FleetError, isFinal, InboundFrame, readRecord, type ConversationKeys } from '@tavus-fleet/contracts';
import { Emitter, sleep, systemClock, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import { Heard } from '../heard.ts';
import { durationMs } from '../pcm.ts';
import type { FrameSender } from '../transport.ts';
import { Waiting } from '../waiting.ts';
import { append } from './append.ts';
import { redisCall } from './call.ts';
import type { Connection } from './connection.ts';

/** Frames and bytes that go into one call; it is one step for Redis, so it must not be long. */
const BATCH = { frames: 32, bytes: 256 * 1024 };
const AGAIN_MS = { first: 50, max: 1_000 };
/** The owner saves what it played every 500 ms. */
const LOOK_MS = 250;

type Options = {
  readonly redis: Connection;
  readonly conversationId: string;
  readonly keys: ConversationKeys;
  readonly patienceMs: number;
  readonly clock?: Clock;
};

/**
 * Frames straight into the stream: one call under way at a time, with all that has come meanwhile. A call that failed is made
 * again with the same numbers; the script knows which of them it has.
 */
export class RedisFrameSender implements FrameSender {
  readonly #options: Options;
  readonly #clock: Clock;
  readonly #waiting = new Waiting();
  readonly #heard = new Heard();
  readonly #changed = new Emitter<void>(() => undefined);
  readonly #life = new AbortController();
  #producer = { name: crypto.randomUUID(), next: 1 };
  #pumping = false;
  #looking: Timer | undefined;
  #over = false;
  #final = false;

  constructor(options: Options) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  get progress(): { acceptedMs: number; heardMs: number } {
    return this.#heard.progress;
  }

  get over(): boolean {
    return this.#over;
  }

  onProgress(listener: () => void): () => void {
    return this.#changed.on(listener);
  }

  append(frame: InboundFrame, signal?: AbortSignal): Promise<void> {
    if (this.#over) return Promise.reject(overError());
    if (this.#life.signal.aborted) return Promise.reject(closedError());
    const parsed = InboundFrame.safeParse(frame);
    if (!parsed.success) return Promise.reject(malformedError(parsed.error.issues[0]));
    const added = this.#waiting.add(frame, signal);
    if (!this.#pumping) void this.#pump();
    return added;
  }

  close(): void {
    this.#life.abort();
    this.#looking?.[Symbol.dispose]();
    this.#waiting.failAll(closedError());
    this.#changed.emit();
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    let pauseMs = AGAIN_MS.first;
    let failingSince: number | undefined;
    for (let batch = this.#waiting.take(BATCH); batch.length > 0; batch = this.#waiting.take(BATCH)) {
      try {
        const answer = await this.#append(batch.map(({ frame }) => frame));
        if (answer === 'over') {
          this.#refuseMore();
        } else {
          for (const [at, { frame }] of batch.entries()) this.#count(frame, answer[at] ?? '0');
          this.#producer.next += batch.length;
          this.#waiting.done(batch.length);
          pauseMs = AGAIN_MS.first;
          failingSince = undefined;
          this.#look();
          this.#changed.emit();
        }
      } catch (thrown) {
        const error =
          thrown instanceof FleetError
            ? thrown
            : new FleetError('internal', 'A frame was not added.', { cause: thrown });
        failingSince ??= this.#clock.now();
        if (error.code === 'internal' || this.#clock.now() - failingSince > this.#options.patienceMs)
          this.#giveUp(error);
        await sleep(this.#clock, pauseMs, this.#life.signal).catch(() => undefined); // closed: nothing waits any more
        pauseMs = Math.min(AGAIN_MS.max, pauseMs * 2);
      }
    }
    this.#pumping = false;
  }

  #count(frame: InboundFrame, id: string): void {
    if (frame.type === 'interruption') this.#heard.clear();
    else this.#heard.added(id, durationMs(frame));
  }

  async #append(frames: readonly InboundFrame[]): Promise<'over' | readonly string[]> {
    const { redis, keys } = this.#options;
    const answer = await redisCall(() => append(redis, keys, this.#producer, frames));
    if (answer === 'full')
      throw new FleetError('stream-full', 'Too many frames wait to be played; send more when some have been.');
    return answer;
  }

  /** What waited fails. Whether the last call was done nobody knows: its numbers are not used again. */
  #giveUp(error: FleetError): void {
    this.#producer = { name: crypto.randomUUID(), next: 1 };
    this.#waiting.failAll(error);
  }

  /** What is in the stream may still be played: the conversation may be stopping. */
  #refuseMore(): void {
    this.#over = true;
    this.#waiting.failAll(overError());
    this.#changed.emit();
  }

  #look(): void {
    if (this.#looking || this.#heard.waits === 0 || this.#final) return;
    this.#looking = this.#clock.after(LOOK_MS, () => {
      void this.#readPosition().finally(() => {
        this.#looking = undefined;
        if (!this.#life.signal.aborted) this.#look();
      });
    });
  }

  /** A look that fails is made again. */
  async #readPosition(): Promise<void> {
    const { redis, keys, conversationId } = this.#options;
    const record = await redis
      .hgetall(keys.record)
      .then((hash) => readRecord(conversationId, hash))
      .catch(() => undefined);
    if (!record) return; // no worker has taken the job yet, or Redis is silent
    this.#final = isFinal(record.state);
    if (this.#final) return this.#refuseMore();
    if (this.#heard.seen(record.position, record.counters.interruptions)) this.#changed.emit();
  }
}

const malformedError = (issue: { path: PropertyKey[]; message: string } | undefined): FleetError =>
  new FleetError('malformed-frame', issue?.message ?? 'The frame is malformed.', {
    field: issue?.path.map(String).join('.') || 'frame',
  });
const overError = (): FleetError => new FleetError('conversation-over', 'The conversation takes no more frames.');
const closedError = (): FleetError => new FleetError('shutting-down', 'The conversation was closed here.');
