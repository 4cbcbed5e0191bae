import { FleetError } from '@tavus-fleet/contracts';

const downCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
const downNames = new Set([
  'MaxRetriesPerRequestError',
  'ClusterAllFailedError',
  'AbortError',
  'ConnectionClosedError',
]);
// Server answers that say "not now": restarting, failing over, full, or refusing our credentials; our scripts' word that a record was
// lost (shared.lua, owns); and the driver's own texts.
const downTexts =
  /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|OOM|MISCONF|NOREPLICAS|NORECORD|NOAUTH|WRONGPASS)\b|Connection is closed|Command timed out|isn't writeable|Cluster isn't ready|Cluster is ended|None of startup nodes|Too many Cluster redirections|All sentinels are unreachable|Socket timeout/;

/** Whether an error means that Redis cannot serve now (silent, gone, failing over, full), as against a wrong command. */
export function isRedisDown(error: unknown): boolean {
  if (error instanceof FleetError) return error.code === 'redis-unavailable';
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return downCodes.has(code) || downNames.has(error.name) || downTexts.test(error.message);
}

/**
 * Runs a Redis call and maps what it throws to FleetError: `redis-unavailable` when Redis is down, else `internal`.
 * The cause is a bare copy: the driver hangs the command with all its arguments (tokens, text) on its errors, and a
 * logger would print them.
 */
export async function redisCall<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof FleetError) throw error;
    const text = error instanceof Error ? `${error.name}: ${error.message}` : 'not an Error';
    const cause = new Error(text.slice(0, 300));
    if (isRedisDown(error)) throw new FleetError('redis-unavailable', 'Redis does not answer.', { cause });
    throw new FleetError('internal', 'A Redis call failed in a way that was not foreseen.', { cause });
  }
}
