import { FleetError, type ErrorCode } from '@tavus-fleet/contracts';
import { systemClock, type Clock } from './clock.ts';

/**
 * Runs `work` with a signal that aborts at the deadline or with `signal`, whichever is first, and does not wait for work that
 * ignores its signal. The timer is always cleared. Rejects with `FleetError(code)` at the deadline, with the signal's reason when aborted.
 *
 * What `work` answers after that, or in the very turn of it, goes to `late`: whoever asks for something that must be given back has to
 * name it, since an abort can fall between the answer and its reader.
 */
export async function withDeadline<T>(
  options: {
    signal?: AbortSignal | undefined;
    ms: number;
    what: string;
    code?: ErrorCode;
    clock?: Clock;
    late?: (answer: T) => void;
  },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, ms, what, code = 'deadline-exceeded', clock = systemClock, late } = options;
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
  let working: Promise<T> | undefined;
  try {
    working = work(own.signal);
    return await Promise.race([working, aborted.promise]);
  } catch (error) {
    if (late) void working?.then(late, () => undefined); // how it failed has been said, or comes too late to matter
    throw error;
  } finally {
    signal?.removeEventListener('abort', relay);
  }
}
