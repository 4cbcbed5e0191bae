import type { OutboundEvent } from '@tavus-fleet/contracts';
import type { Clock, Timer } from '@tavus-fleet/lifecycle';
import { Allowance } from './allowance.ts';

/** Of one kind: so many each by itself, and one more in ten seconds after that. A mistake made by hand is always seen whole. */
const SINGLY = { atOnce: 20, aSecond: 0.1 };
/** Messages out of the call, which strangers in a room may send: so many at once, and so many a second after that (our choice). */
const MESSAGES = { atOnce: 100, aSecond: 10 };
const FIRST_WINDOW_MS = 1_000;
const LONGEST_WINDOW_MS = 10_000;

type Repeatable = Extract<OutboundEvent, { type: 'error' | 'frames-dropped' }>;
type Kind = { readonly singly: Allowance; window: Timer | undefined; waiting: Repeatable | undefined };

/**
 * Keeps a flood of one kind out of a conversation's events, which are few and hold what the backend must see. The first of a kind are
 * told one by one; while more come they are told together, at first every second and then ever more rarely. So ten thousand
 * malformed entries are two dozen events, and their number is told exactly. Everything else passes as it comes.
 */
export class RepeatedEvents {
  readonly #tell: (event: OutboundEvent) => void;
  readonly #clock: Clock;
  readonly #messages: Allowance;
  /** By error code and reason of a drop: both are short closed lists. */
  readonly #kinds = new Map<string, Kind>();

  constructor(tell: (event: OutboundEvent) => void, clock: Clock) {
    this.#tell = tell;
    this.#clock = clock;
    this.#messages = new Allowance(clock, MESSAGES);
  }

  take(event: OutboundEvent): void {
    if (event.type === 'message') {
      if (this.#messages.take()) return this.#tell(event);
      return this.#repeat('messages', { type: 'frames-dropped', data: { count: 1, ms: 0, why: 'messages' } });
    }
    if (event.type === 'error' && !event.data.fatal) return this.#repeat(`error ${event.data.code}`, event);
    if (event.type === 'frames-dropped') return this.#repeat(`dropped ${event.data.why}`, event);
    this.#tell(event);
  }

  /** Tells what waits, now. */
  flush(): void {
    for (const kind of this.#kinds.values()) {
      kind.window?.[Symbol.dispose]();
      kind.window = undefined;
      this.#tellWaiting(kind);
    }
  }

  #repeat(name: string, event: Repeatable): void {
    let kind = this.#kinds.get(name);
    if (!kind) {
      kind = { singly: new Allowance(this.#clock, SINGLY), window: undefined, waiting: undefined };
      this.#kinds.set(name, kind);
    }
    if (!kind.waiting && kind.singly.take()) return this.#tell(event);
    kind.waiting = kind.waiting ? together(kind.waiting, event) : event;
    if (!kind.window) this.#open(kind, FIRST_WINDOW_MS);
  }

  #open(kind: Kind, ms: number): void {
    kind.window = this.#clock.after(ms, () => {
      kind.window = undefined;
      if (this.#tellWaiting(kind)) this.#open(kind, Math.min(LONGEST_WINDOW_MS, ms * 2));
    });
  }

  #tellWaiting(kind: Kind): boolean {
    const { waiting } = kind;
    kind.waiting = undefined;
    if (waiting) this.#tell(waiting);
    return waiting !== undefined;
  }
}

/** The first one's words and field stand for all. */
function together(sum: Repeatable, next: Repeatable): Repeatable {
  if (sum.type === 'error') return { type: 'error', data: { ...sum.data, count: (sum.data.count ?? 1) + 1 } };
  const { count, ms } = next.type === 'error' ? { count: 1, ms: 0 } : next.data; // kinds do not mix; for the compiler
  return { type: 'frames-dropped', data: { ...sum.data, count: sum.data.count + count, ms: sum.data.ms + ms } };
}
