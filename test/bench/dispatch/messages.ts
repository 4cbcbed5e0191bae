/** Consumer → bench. Times are microseconds of the monotonic clock. */
export type FromConsumer =
  | { readonly type: 'ready' }
  /** The job was in hand; it was the worker's own by then, and everything of it is over now. */
  | { readonly type: 'claimed'; readonly fetchedUs: number; readonly claimedUs: number };
