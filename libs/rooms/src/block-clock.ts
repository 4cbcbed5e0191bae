/** Further behind than this, sound stood still: the presentation time jumps with it, at once. */
const STANDSTILL_MS = 60;
/** Off by this much for so many blocks on end, it did so by less, or came too fast: one jump then. */
const SLACK_MS = 5;
const STEADY_BLOCKS = 10;
/** Below that, so much of it is taken over per block, and at most half a sample: follows a drifting clock and is not heard. */
const FOLLOW = 0.01;
const MOST_FOLLOWED_MS = 0.02;
/** Two blocks never have one time, nor the later one an earlier. */
const LEAST_STEP_MS = 1;

/**
 * Presentation times for blocks of one continuous sound: evenly spaced although they arrive with jitter, on the clock of their
 * arrival, which pictures are timed by as well. Whoever lays the blocks where their times say hears no seams: what must be made
 * up for is made up for in one place, not a little in each block. Times only go forward.
 */
export class BlockClock {
  #next: number | undefined;
  #last = Number.NEGATIVE_INFINITY;
  #offs: number[] = [];

  /** When the block that ended arriving now begins, ms of the same clock. */
  next(nowMs: number, durationMs: number): number {
    const arrived = nowMs - durationMs;
    const expected = this.#next ?? arrived;
    const pts = Math.max(expected + this.#correction(arrived - expected), this.#last + LEAST_STEP_MS);
    this.#last = pts;
    this.#next = pts + durationMs;
    return pts;
  }

  #correction(off: number): number {
    this.#offs = [...this.#offs.slice(1 - STEADY_BLOCKS), off];
    const jump = off > STANDSTILL_MS ? off : this.#steady();
    if (jump > SLACK_MS) this.#offs = []; // made up for as a whole; a jump back is made in several small steps
    if (Math.abs(jump) > SLACK_MS) return jump;
    return Math.max(-MOST_FOLLOWED_MS, Math.min(MOST_FOLLOWED_MS, off * FOLLOW));
  }

  /** By how much the last blocks were all off at least, to the same side. */
  #steady(): number {
    if (this.#offs.length < STEADY_BLOCKS) return 0;
    const [least, most] = [Math.min(...this.#offs), Math.max(...this.#offs)];
    return least > 0 ? least : Math.min(0, most);
  }
}
