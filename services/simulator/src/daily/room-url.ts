/** Which room a meeting URL means. The kinds are kept apart so that a user room can never shadow a Tavus room of the same name. */
export type RoomKey = { readonly kind: 'tavus' | 'user'; readonly name: string };

const NAME = /^[A-Za-z0-9_-]{1,128}$/;
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** True for a room name that may stand in a path or a page. */
export function isRoomName(name: string): boolean {
  return NAME.test(name);
}

/** True when a Host header (or a URL's host) names this machine, whatever the port, or is one of `allowed` as it stands. */
export function isServedHost(host: string | undefined, allowed: readonly string[] = []): boolean {
  if (host === undefined) return false;
  const name = host.toLowerCase();
  return allowed.includes(name) || LOOPBACK.has(name.replace(/:\d{1,5}$/, ''));
}

/**
 * `https://tavus.daily.co/NAME` is a Tavus room, `http(s)://<loopback or an allowed host>/rooms/NAME` a user room, all else null: the
 * simulator knows no other rooms, so joining them is answered like a room that does not exist.
 */
export function roomOfUrl(url: string, allowed: readonly string[] = []): RoomKey | null {
  if (!URL.canParse(url)) return null;
  const parsed = new URL(url);
  const [first, second, ...rest] = parsed.pathname.split('/').filter((part) => part !== '');
  if (rest.length > 0 || first === undefined) return null;
  if (parsed.protocol === 'https:' && parsed.host === 'tavus.daily.co')
    return second === undefined && isRoomName(first) ? { kind: 'tavus', name: first } : null;
  if (!isServedHost(parsed.host, allowed) || !/^https?:$/.test(parsed.protocol)) return null;
  return first === 'rooms' && second !== undefined && isRoomName(second) ? { kind: 'user', name: second } : null;
}

/** The meeting URL of a room. `origin` is the simulator's own, used for user rooms. */
export function urlOfRoom(room: RoomKey, origin: string): string {
  return room.kind === 'tavus' ? `https://tavus.daily.co/${room.name}` : `${origin}/rooms/${room.name}`;
}
