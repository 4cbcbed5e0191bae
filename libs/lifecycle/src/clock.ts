/** A running timer; disposing it clears it and may be done twice. */
export interface Timer extends Disposable {}

/**
 * Time as the parts see it: milliseconds since 1970 and timers. A port, so that limits of an hour are tested in a
 * millisecond. Durations between two `now()` calls are monotonic: the system clock below never steps back.
 */
export interface Clock {
  now(): number;
  /** Calls back once after `ms` (at least one task later). */
  after(ms: number, callback: () => void): Timer;
  /** Calls back every `ms` until disposed. */
  every(ms: number, callback: () => void): Timer;
}

// Date.now() follows NTP steps; performance.timeOrigin + now() does not, and both agree at start.
const origin = performance.timeOrigin;

export const systemClock: Clock = {
  now: () => origin + performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  every(ms, callback) {
    const timer = setInterval(callback, ms);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  },
};

/** Waits `ms`; rejects with the signal's reason when it aborts. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = (): void => {
      timer[Symbol.dispose]();
      reject(signal?.reason);
    };
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    });
    signal?.addEventListener('abort', stop, { once: true });
  });
}
