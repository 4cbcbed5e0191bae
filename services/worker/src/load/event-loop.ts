import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 20;

/**
 * How late this process is, ms: the ninth decile of the event loop's delay since the last look. The decile and not the maximum: one
 * collection of garbage is no overload, being late one time in ten is.
 */
export class EventLoopMeter implements Disposable {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  start(): void {
    this.#histogram.enable();
  }

  read(): number {
    const lateNs = this.#histogram.percentile(90); // of what is measured the timer's own period is no lateness
    this.#histogram.reset();
    return Math.max(0, lateNs / 1e6 - RESOLUTION_MS);
  }

  [Symbol.dispose](): void {
    this.#histogram.disable();
  }
}
