/**
 * The bill: seconds from create to end per conversation (documented: the meter runs while the replica waits alone).
 * Invariant: what was billed never shrinks, also when a conversation is deleted or forgotten, so that
 * `unended` being empty is the proof that a test leaked nothing.
 */
export class BillingMeter {
  readonly #running = new Map<string, number>();
  #endedMs = 0;

  start(id: string, nowMs: number): void {
    if (!this.#running.has(id)) this.#running.set(id, nowMs);
  }

  /** Stopping what does not run is a no-op. */
  stop(id: string, nowMs: number): void {
    const startedMs = this.#running.get(id);
    if (startedMs === undefined) return;
    this.#running.delete(id);
    this.#endedMs += nowMs - startedMs;
  }

  /** Seconds are not rounded: Tavus' rounding is not documented. */
  read(nowMs: number): { seconds: number; unended: string[] } {
    let totalMs = this.#endedMs;
    for (const startedMs of this.#running.values()) totalMs += nowMs - startedMs;
    return { seconds: totalMs / 1_000, unended: [...this.#running.keys()] };
  }
}
