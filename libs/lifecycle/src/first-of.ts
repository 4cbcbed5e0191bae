/**
 * Resolves with the first value among promises that each stand for one reason to end. A rejection counts as first too.
 * Unlike Promise.race it marks the losers as handled, because some of them reject later during the orderly release.
 */
export function firstOf<T>(reasons: readonly Promise<T>[]): Promise<T> {
  for (const reason of reasons) reason.catch(() => undefined); // handled by the race; this only silences late losers
  return Promise.race(reasons);
}
