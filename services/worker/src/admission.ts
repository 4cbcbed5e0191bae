import type { Shortage } from './load/brake.ts';

/** What decides whether this worker may take one more conversation. */
export type Load = {
  readonly live: number;
  readonly starting: number;
  readonly capacity: number;
  readonly draining: boolean;
  readonly redisUp: boolean;
  /** What this worker is short of. */
  readonly short: Shortage | undefined;
};

export type WhyNot = 'draining' | 'full' | 'redis-down' | `short-of-${Shortage}`;

/** Pure: no I/O, so that it can be read and tested as a table. Answers why not, or undefined for yes. */
export function whyNotOneMore(load: Load): WhyNot | undefined {
  if (load.draining) return 'draining';
  if (!load.redisUp) return 'redis-down';
  if (load.live + load.starting >= load.capacity) return 'full';
  if (load.short) return `short-of-${load.short}`;
  return undefined;
}
