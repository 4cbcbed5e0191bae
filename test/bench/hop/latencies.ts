import { quantile, round } from '../harness/quantiles.ts';
import { nowUs, stampOf } from './clock.ts';
import type { Round } from './messages.ts';

/** What one side's consumer saw in a round. Room for all of it is there before: growing an array would be in the figures. */
export class Latencies {
  readonly #values = new Float64Array(1_000_000);
  #count = 0;
  #cpu = process.cpuUsage();

  /** A new round. */
  reset(): void {
    this.#count = 0;
    this.#cpu = process.cpuUsage();
  }

  arrived(pcm: Uint8Array): void {
    const now = nowUs();
    const sent = stampOf(pcm);
    if (sent === 0) return;
    this.#values[this.#count] = now - sent;
    this.#count += 1;
  }

  collect(): Round {
    const { user, system } = process.cpuUsage(this.#cpu);
    const values = this.#values.subarray(0, this.#count);
    return {
      count: this.#count,
      p50Us: round(quantile(values, 0.5), 0),
      p99Us: round(quantile(values, 0.99), 0),
      maxUs: round(Math.max(0, ...values.slice(-100_000)), 0),
      cpuPerEntryUs: round((user + system) / Math.max(1, this.#count), 1),
    };
  }
}
