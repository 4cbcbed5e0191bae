/** What decides whether this worker may take one more conversation. */
export type Load = {
  readonly live: number;
  readonly starting: number;
  readonly capacity: number;
  readonly draining: boolean;
  readonly redisUp: boolean;
  readonly tavusBlockedUntil: number;
};

/** Pure: no I/O, so that it can be read and tested as a table. Answers why not, or undefined for yes. */
export function whyNotOneMore(
  load: Load,
  now: number,
): 'draining' | 'full' | 'redis-down' | 'tavus-refuses' | undefined {
  if (load.draining) return 'draining';
  if (!load.redisUp) return 'redis-down';
  if (now < load.tavusBlockedUntil) return 'tavus-refuses';
  if (load.live + load.starting >= load.capacity) return 'full';
  return undefined;
}
