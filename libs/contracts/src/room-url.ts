/**
 * Room URLs come from strangers and are opened by a browser in our network, so they are checked in the API and again
 * in the worker: an allow-listed host is the only door. Rejected alternative: a deny-list of private ranges (DNS rebinding beats it).
 */

export type RoomUrlProblem =
  | 'not a URL'
  | 'must be https'
  | 'must not carry a user name or password'
  | 'must not carry a port'
  | 'its host is not in USER_ROOM_HOSTS'
  | 'must be at most 512 characters'
  | 'must name a room in its path';

/**
 * Checks a user room's URL. `allowed` entries are host patterns (`rooms.example.com`, `*.daily.co`: one or more labels
 * in place of the star; https and the default port only) or exact origins (`http://127.0.0.1:8090`: scheme, host and port as given).
 * Answers undefined when the URL may be opened, else what is wrong with it.
 */
export function roomUrlProblem(text: string, allowed: readonly string[]): RoomUrlProblem | undefined {
  if (text.length > 512) return 'must be at most 512 characters';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) return 'not a URL';
  if (url.username !== '' || url.password !== '') return 'must not carry a user name or password';
  // Only these two have an origin of their own: a blob: URL borrows one, and all others share the origin `null`.
  const web = url.protocol === 'https:' || url.protocol === 'http:';
  const known =
    web &&
    allowed.some((entry) => entry.includes('://') && URL.canParse(entry) && new URL(entry).origin === url.origin);
  if (!known) {
    if (url.protocol !== 'https:') return 'must be https';
    if (url.port !== '') return 'must not carry a port';
    if (!allowed.some((entry) => !entry.includes('://') && hostMatches(url.hostname, entry.toLowerCase())))
      return 'its host is not in USER_ROOM_HOSTS';
  }
  return url.pathname.length > 1 ? undefined : 'must name a room in its path';
}

function hostMatches(host: string, pattern: string): boolean {
  if (!pattern.startsWith('*.')) return host === pattern;
  return host.length > pattern.length - 1 && host.endsWith(pattern.slice(1));
}
