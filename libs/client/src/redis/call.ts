import { FleetError } from '@tavus-fleet/contracts';

// What Redis answers to a command or to credentials that it will never take. All else (silent, gone, failing over, full, starting) passes.
const FOR_GOOD = /^(WRONGTYPE|NOPERM|NOAUTH|WRONGPASS|ERR)\b/;

/**
 * Runs a Redis call; what it throws becomes `redis-unavailable`, or `internal` when asking again cannot help. The cause is a bare copy:
 * the driver hangs the command with all its arguments on its errors, and a logger would print them.
 */
export async function redisCall<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof FleetError) throw error;
    const text = error instanceof Error ? error.message : 'not an Error';
    const cause = new Error(text.slice(0, 300));
    if (FOR_GOOD.test(text)) throw new FleetError('internal', `Redis refused: ${text.slice(0, 80)}`, { cause });
    throw new FleetError('redis-unavailable', 'Redis does not answer.', { cause });
  }
}
