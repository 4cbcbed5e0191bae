/** Further apart than this, sound stood still or was skipped: the presentation time jumps with it. */
const REANCHOR_MS = 60;
/** Of what the arrival is ahead or behind, so much is taken over per block: follows a drifting clock, smooths jitter. */
const FOLLOW = 0.01;

/**
 * Presentation times for blocks of one continuous sound: evenly spaced although they arrive with jitter, on the clock of their
 * arrival, which pictures are timed by as well.
 */
export class BlockClock {
  #next: number | undefined;

  /** When the block that ended arriving now begins, ms of the same clock. */
  next(nowMs: number, durationMs: number): number {
    const arrived = nowMs - durationMs;
    const expected = this.#next ?? arrived;
    const off = arrived - expected;
    const pts = Math.abs(off) > REANCHOR_MS ? arrived : expected + off * FOLLOW;
    this.#next = pts + durationMs;
    return pts;
  }
}
