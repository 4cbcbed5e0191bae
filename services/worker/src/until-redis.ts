import type { RetryPolicy } from '@tavus-fleet/lifecycle';

/** What is asked of Redis while it is silent is asked again until it answers, or until whoever asks has lost interest (its signal). */
export const UNTIL_REDIS: RetryPolicy = {
  attempts: Number.POSITIVE_INFINITY,
  firstMs: 200,
  maxMs: 1_000,
  when: (error) => error.code === 'redis-unavailable',
};
