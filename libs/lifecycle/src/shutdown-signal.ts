import { systemClock, type Clock } from './clock.ts';

/** Where signals come from: `process`, or an emitter of a test. */
export interface SignalSource {
  on(signal: 'SIGTERM' | 'SIGINT', listener: (signal: 'SIGTERM' | 'SIGINT') => void): unknown;
  off(signal: 'SIGTERM' | 'SIGINT', listener: (signal: 'SIGTERM' | 'SIGINT') => void): unknown;
}

/**
 * One Ctrl-C may arrive twice within milliseconds: the terminal sends it to the whole process group, and npm passes its own on.
 * So a signal means "at once" only this long after the first.
 */
const ECHO_MS = 1_000;

/**
 * SIGTERM or SIGINT: `stop` once, with the first; `atOnce` for each that comes a second or more after it. Answers what stops listening.
 */
export function onShutdownSignal(
  source: SignalSource,
  tell: { stop(signal: string): void; atOnce(signal: string): void },
  clock: Clock = systemClock,
): () => void {
  let firstAt: number | undefined;
  const listener = (signal: 'SIGTERM' | 'SIGINT'): void => {
    if (firstAt === undefined) {
      firstAt = clock.now();
      tell.stop(signal);
    } else if (clock.now() - firstAt >= ECHO_MS) {
      tell.atOnce(signal);
    }
  };
  source.on('SIGTERM', listener);
  source.on('SIGINT', listener);
  return () => {
    source.off('SIGTERM', listener);
    source.off('SIGINT', listener);
  };
}
