import type { Clock, Timer } from './clock.ts';

type Due = { at: number; order: number; everyMs: number | undefined; callback: () => void };

/** A clock that stands still until told to pass. Callbacks run in due order, each at its own `now()`. */
export class FakeClock implements Clock {
  #now: number;
  #order = 0;
  readonly #due = new Set<Due>();

  constructor(startMs = 1_800_000_000_000) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): Timer {
    return this.#add(ms, undefined, callback);
  }

  every(ms: number, callback: () => void): Timer {
    return this.#add(ms, Math.max(1, ms), callback);
  }

  /** How many timers are pending: a leak check for tests. */
  get pending(): number {
    return this.#due.size;
  }

  /** Lets `ms` pass; between two callbacks pending promise reactions run, as on a real clock. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (;;) {
      const next = [...this.#due]
        .filter((due) => due.at <= until)
        .toSorted((a, b) => a.at - b.at || a.order - b.order)[0];
      if (!next) break;
      this.#now = Math.max(this.#now, next.at);
      if (next.everyMs === undefined) this.#due.delete(next);
      else next.at += next.everyMs;
      next.callback();
      await settle();
    }
    this.#now = until;
    await settle();
  }

  #add(ms: number, everyMs: number | undefined, callback: () => void): Timer {
    const due: Due = { at: this.#now + Math.max(0, ms), order: this.#order++, everyMs, callback };
    this.#due.add(due);
    return { [Symbol.dispose]: () => void this.#due.delete(due) };
  }
}

// Promise reactions chain: one macrotask turn drains them all.
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
