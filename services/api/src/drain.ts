import { onShutdownSignal, withDeadline } from '@tavus-fleet/lifecycle';
import type { Logger } from '@tavus-fleet/telemetry';

/** While /readyz already says no and everything is still answered, so that load balancers notice before connections fail. */
const NOTICE_MS = 1000;
/** In all, less than the 10 s that containers are given by default. */
const CLOSE_MS = 8000;

/**
 * The way out: on SIGTERM or SIGINT not ready, event streams end with a hint to come back, then requests in flight finish,
 * then everything closes. A second signal (no mere echo of the first), or the deadline, exits 1.
 */
export function drainOnSignal(options: { draining: AbortController; close: () => Promise<void>; log: Logger }): void {
  const { draining, close, log } = options;
  const leave = async (signal: string): Promise<void> => {
    log.info({ signal }, 'api draining');
    draining.abort();
    const { promise: noticed, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, NOTICE_MS);
    await noticed;
    await withDeadline({ ms: CLOSE_MS, what: 'Closing' }, close);
    log.info({ signal }, 'api closed');
  };
  onShutdownSignal(process, {
    stop: (signal) =>
      void leave(signal).then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ err: error, signal }, 'closing failed');
          process.exit(1);
        },
      ),
    atOnce: (signal) => {
      log.warn({ signal }, 'second signal, exiting at once');
      process.exit(1);
    },
  });
}
