/** Half of the time that an arrival counts: long enough to hold one that nothing delayed, short enough to follow a way that changed. */
const HALF_WINDOW_MS = 1_500;
/** Nothing comes so late: the source has begun to count anew. */
const RESTART_MS = 5_000;

/**
 * Tells when things arrived by the source's own stamps, without the jitter of the way: of the last seconds the arrival that was
 * delayed least says how the two clocks stand, every other one was that much later. So pictures stand as evenly as they were
 * taken, and a busy thread moves nothing. (A mean would carry every congestion into the times of what comes after it.)
 */
export class ArrivalClock {
  readonly #wrap: number | undefined;
  /** Least offset of this half of the window, and of the one before. */
  #least = Number.POSITIVE_INFINITY;
  #leastBefore = Number.POSITIVE_INFINITY;
  #halfSince = Number.NEGATIVE_INFINITY;
  #lastStamp: number | undefined;
  #turns = 0;

  /** `wrapMs`: the source's stamps begin at 0 again after so many ms (RTP: 2^32 ticks). */
  constructor(wrapMs?: number) {
    this.#wrap = wrapMs;
  }

  /** When what is stamped `stampMs` and was seen at `nowMs` would have come undelayed, ms of `nowMs`' clock; never after `nowMs`. */
  at(stampMs: number, nowMs: number): number {
    const stamp = this.#unwrapped(stampMs);
    const offset = nowMs - stamp;
    if (offset - Math.min(this.#least, this.#leastBefore) > RESTART_MS) this.#least = Number.POSITIVE_INFINITY;
    if (this.#least === Number.POSITIVE_INFINITY || nowMs - this.#halfSince > 2 * HALF_WINDOW_MS) {
      this.#leastBefore = Number.POSITIVE_INFINITY;
      this.#begin(nowMs);
    } else if (nowMs - this.#halfSince > HALF_WINDOW_MS) {
      this.#leastBefore = this.#least;
      this.#begin(nowMs);
    }
    this.#least = Math.min(this.#least, offset);
    return stamp + Math.min(this.#least, this.#leastBefore);
  }

  #begin(nowMs: number): void {
    this.#least = Number.POSITIVE_INFINITY;
    this.#halfSince = nowMs;
  }

  #unwrapped(stampMs: number): number {
    if (this.#wrap === undefined) return stampMs;
    // The nearest turn: a stamp that came a little out of order at the wrap is one turn lower again.
    const last = this.#lastStamp ?? stampMs;
    if (stampMs - last < -this.#wrap / 2) this.#turns += 1;
    else if (stampMs - last > this.#wrap / 2) this.#turns -= 1;
    this.#lastStamp = stampMs;
    return stampMs + this.#turns * this.#wrap;
  }
}
