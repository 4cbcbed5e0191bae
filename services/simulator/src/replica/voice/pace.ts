/** Longer than a busy machine keeps frames waiting. */
const STARVED_MS = 400;
const MOST_AT_ONCE = 50;
/** Frames closer together than this come from a queue, not from a jitter buffer's clock. */
const QUEUED_MS = 5;

/**
 * When the next steps are due by the wall clock, while nobody else leads. Late steps are caught up, up to 50 at once; what a
 * longer stall missed is left out. All times in ms of one clock.
 */
export class Pace {
  readonly #stepMs: number;
  #nextAtMs: number;
  #ledAtMs = Number.NEGATIVE_INFINITY;
  #filled = 0;

  constructor(stepMs: number, nowMs: number) {
    this.#stepMs = stepMs;
    this.#nextAtMs = nowMs + stepMs;
  }

  /**
   * A source brings steps and sets the pace: for 400 ms from now nothing else is due. Answers how many of them to leave out,
   * because silence was taken in their time already.
   */
  led(nowMs: number, steps: number): number {
    const sinceMs = nowMs - this.#ledAtMs;
    this.#ledAtMs = nowMs;
    this.#nextAtMs = nowMs + this.#stepMs;
    // In its own time: nothing is queued any more. The first after a standstill may have a queue behind it.
    if (sinceMs >= QUEUED_MS && sinceMs < STARVED_MS) this.#filled = 0;
    const late = sinceMs < QUEUED_MS ? Math.min(this.#filled, steps) : 0;
    this.#filled -= late;
    return late;
  }

  /** Other sources count from now on, or none. Nothing of theirs was filled yet; without one nobody is waited for. */
  change(isLed: boolean): void {
    this.#filled = 0;
    if (!isLed) this.#ledAtMs = Number.NEGATIVE_INFINITY;
  }

  /** How many steps to take now; they count as taken. */
  due(nowMs: number): number {
    if (nowMs - this.#ledAtMs < STARVED_MS) return 0;
    const late = Math.floor((nowMs - this.#nextAtMs) / this.#stepMs) + 1;
    if (late > MOST_AT_ONCE) this.#nextAtMs = nowMs - (MOST_AT_ONCE - 1) * this.#stepMs;
    const steps = Math.max(0, Math.min(MOST_AT_ONCE, late));
    this.#nextAtMs += steps * this.#stepMs;
    this.#filled += steps;
    return steps;
  }
}
