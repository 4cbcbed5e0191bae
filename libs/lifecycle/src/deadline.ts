import { FleetError, type ErrorCode } from '@tavus-fleet/contracts';
import { systemClock, type Clock } from './clock.ts';

/**
 * Runs `work` with a signal that aborts at the deadline or with `signal`, whichever is first, and does not wait for work that
 * ignores its signal. The timer is always cleared. Rejects with `FleetError(code)` at the deadline, with the signal's reason when aborted.
 */
export async function withDeadline<T>(
  options: { signal?: AbortSignal | undefined; ms: number; what: string; code?: ErrorCode; clock?: Clock },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, ms, what, code = 'deadline-exceeded', clock = systemClock } = options;
  signal?.throwIfAborted();
  const own = new AbortController();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined); // the race below is its only reader; a late rejection must not count as unhandled
  const stop = (reason: unknown): void => {
    own.abort(reason);
    aborted.reject(reason);
  };
  const relay = (): void => stop(signal?.reason);
  signal?.addEventListener('abort', relay, { once: true });
  using _timer = clock.after(ms, () => stop(new FleetError(code, `${what} took longer than ${ms} ms.`)));
  try {
    return await Promise.race([work(own.signal), aborted.promise]);
  } finally {
    signal?.removeEventListener('abort', relay);
  }
}
