import { asFleetError, type OutboundEvent } from '@tavus-fleet/contracts';
import { sleep, type Clock } from '@tavus-fleet/lifecycle';
import { RepeatedEvents } from './repeated-events.ts';

/**
 * Appends one event for the owner; false = fenced: somebody else owns the conversation. Rejects with `redis-unavailable` while
 * Redis is silent, with anything else when this event can never be written (it does not fit its schema).
 */
export type AppendEvent = (event: OutboundEvent, signal: AbortSignal) => Promise<boolean>;

// A live session says a few events a second; this many bridge a Redis outage of minutes.
const MAX_WAITING = 2_000;
const RETRY_MS = 500;

/**
 * A session's events to Redis, in order, one at a time. While Redis is silent they wait; when too many wait the oldest are
 * dropped and the loss is said as an event of its own. What repeats itself is told together. Never throws, never blocks the media path.
 */
export class EventWriter {
  readonly #append: AppendEvent;
  readonly #life = new AbortController();
  readonly #onFenced: () => void;
  readonly #clock: Clock;
  readonly #repeated: RepeatedEvents;
  #waiting: OutboundEvent[] = [];
  #lost = 0;
  #running: Promise<void> | undefined;

  constructor(append: AppendEvent, onFenced: () => void, clock: Clock) {
    this.#append = append;
    this.#onFenced = onFenced;
    this.#clock = clock;
    this.#repeated = new RepeatedEvents((event) => this.#queue(event), clock);
  }

  write(event: OutboundEvent): void {
    if (!this.#life.signal.aborted) this.#repeated.take(event);
  }

  #queue(event: OutboundEvent): void {
    if (this.#life.signal.aborted) return;
    if (this.#waiting.length >= MAX_WAITING) {
      this.#waiting.shift();
      this.#lost += 1;
    }
    this.#waiting.push(event);
    this.#running ??= this.#run();
  }

  /** Resolves when all that was written has been appended or the signal aborts. */
  async flush(signal: AbortSignal): Promise<void> {
    this.#repeated.flush();
    while (this.#running && !signal.aborted) await Promise.race([this.#running, aborted(signal)]);
  }

  /** Nothing is appended any more: the lease is lost or the session is over. */
  close(): void {
    this.#life.abort();
    this.#repeated.flush(); // to nowhere: it clears its timers
    this.#waiting = [];
  }

  async #run(): Promise<void> {
    const { signal } = this.#life;
    await Promise.resolve(); // so that `#running` is set before it can be cleared
    for (let event = this.#take(); event && !signal.aborted;) {
      const current: OutboundEvent = event;
      try {
        const ok = await this.#append(current, signal);
        if (!ok) {
          this.close();
          this.#onFenced();
        }
        event = this.#take();
      } catch (error) {
        // Redis is silent: media goes on and events wait. The pause ends early when the session does.
        if (asFleetError(error).code === 'redis-unavailable')
          await sleep(this.#clock, RETRY_MS, signal).catch(() => undefined);
        else event = this.#instead(current);
      }
    }
    this.#running = undefined; // in the turn that found nothing more: what is written later starts anew
  }

  /** An event that cannot be written must not hold up those behind it: its loss is said in its place, once. */
  #instead(event: OutboundEvent): OutboundEvent | undefined {
    if (event.type === 'error' && event.data.code === 'internal') return this.#take();
    return {
      type: 'error',
      data: {
        code: 'internal',
        category: 'application',
        fatal: false,
        message: `An event of type ${event.type} could not be written.`,
      },
    };
  }

  #take(): OutboundEvent | undefined {
    const lost = this.#lost;
    if (lost === 0) return this.#waiting.shift();
    this.#lost = 0;
    return {
      type: 'error',
      data: {
        code: 'redis-unavailable',
        category: 'connectivity',
        fatal: false,
        message: `${lost} events were lost while Redis was silent.`,
      },
    };
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
