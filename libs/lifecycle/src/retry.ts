import { asFleetError, type FleetError } from '@tavus-fleet/contracts';
import { sleep, systemClock, type Clock } from './clock.ts';

export type RetryPolicy = {
  /** Tries in all, the first included. */
  readonly attempts: number;
  /** First pause; doubles each time, with ±25 % jitter so that a fleet does not knock in step. */
  readonly firstMs: number;
  readonly maxMs: number;
  /** Which errors are worth another try; default: what the error's own row says. */
  readonly when?: (error: FleetError) => boolean;
};

/** Tries until it works, the error says that trying again is pointless, attempts are used up, or the signal aborts. Honours `retryAfterMs`. */
export async function retry<T>(
  policy: RetryPolicy,
  options: {
    signal?: AbortSignal | undefined;
    clock?: Clock;
    random?: () => number;
    onRetry?: (error: FleetError, attempt: number) => void;
  },
  work: (attempt: number) => Promise<T>,
): Promise<T> {
  const { signal, clock = systemClock, random = Math.random, onRetry } = options;
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await work(attempt);
    } catch (thrown) {
      const error = asFleetError(thrown);
      signal?.throwIfAborted();
      const worth = policy.when ? policy.when(error) : error.retry;
      if (!worth || attempt >= policy.attempts) throw error;
      onRetry?.(error, attempt);
      const pause = Math.min(policy.maxMs, policy.firstMs * 2 ** (attempt - 1)) * (0.75 + random() / 2);
      await sleep(clock, Math.max(pause, error.retryAfterMs ?? 0), signal);
    }
  }
}
