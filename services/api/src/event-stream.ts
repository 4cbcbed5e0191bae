import { eventView, type EventEnvelope } from '@tavus-fleet/contracts';
import type { Clock } from '@tavus-fleet/lifecycle';
import type { Events } from './ports.ts';

export const HEARTBEAT_MS = 15_000;
/** What a client that was cut off waits before it comes back. */
const RETRY_MS = 2000;
/** The same when we are leaving: another process takes over at once. */
const RETRY_ON_DRAIN_MS = 500;
/** Events per read: bounds what one client holds in memory, since the next read waits until these are on the wire. */
const PAGE = 100;

type Options = {
  readonly events: Events;
  readonly conversationId: string;
  /** Id after which to begin; `0` is the beginning. */
  readonly after: string;
  /** Whether the conversation is over: then no event will follow, even if an `ended` was never written or has expired. */
  readonly isOver: () => Promise<boolean>;
  readonly draining: AbortSignal;
  /** Aborts when the client has gone. */
  readonly gone: AbortSignal;
  readonly clock: Clock;
};

/**
 * The text of one SSE answer. It keeps no queue: news only wake it up, and it reads the stream on from the last id it wrote,
 * when the client has taken what came before (the consumer pulls). So a slow client costs one page, misses nothing and is
 * never sent anything twice; rejected alternative: pushing events into a bounded buffer, which must drop or disconnect.
 * Ends after `ended`, when the conversation is over and read to its end, when the client has gone, or with a hint to come back when we drain.
 */
export async function* eventStream(options: Options): AsyncGenerator<string, void, void> {
  const { events, conversationId, draining, gone, clock } = options;
  const bell = new Bell(clock);
  const ring = (): void => bell.ring();
  let unwatch: (() => void) | undefined;
  draining.addEventListener('abort', ring);
  gone.addEventListener('abort', ring);
  try {
    yield `retry: ${RETRY_MS}\n\n`;
    let last = options.after;
    for (;;) {
      if (gone.aborted) return;
      if (draining.aborted) {
        yield `retry: ${RETRY_ON_DRAIN_MS}\n: draining, come back\n\n`;
        return;
      }
      // Asked before the read and only where it may matter: an event that is written between the two is then read, not lost.
      const over = !unwatch || bell.timedOut ? await options.isOver() : false;
      const page = await events.read(conversationId, last, PAGE);
      for (const event of page.events) {
        yield render(event);
        if (event.type === 'ended') return;
      }
      const caughtUp = page.lastId === last;
      last = page.lastId;
      if (!caughtUp) continue;
      if (over) return;
      // From where we have read to: what was added meanwhile rings at once.
      unwatch ??= events.watch(conversationId, last, ring);
      if (bell.timedOut) yield ': heartbeat\n\n';
      await bell.wait(HEARTBEAT_MS);
    }
  } finally {
    unwatch?.();
    draining.removeEventListener('abort', ring);
    gone.removeEventListener('abort', ring);
  }
}

/** One event on the wire. JSON has no raw line break, so `data` is always one line. */
function render(event: EventEnvelope): string {
  return `id: ${event.id}
event: ${event.type}
data: ${JSON.stringify(eventView(event))}

`;
}

/** Wakes one waiter; a ring while nobody waits is kept, many are one. */
class Bell {
  readonly #clock: Clock;
  #rung = false;
  #wake: (() => void) | undefined;
  /** Whether the last wait ended without a ring. */
  timedOut = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  async wait(ms: number): Promise<void> {
    if (!this.#rung) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      using _timer = this.#clock.after(ms, resolve);
      await promise;
      this.#wake = undefined;
    }
    this.timedOut = !this.#rung;
    this.#rung = false;
  }
}
