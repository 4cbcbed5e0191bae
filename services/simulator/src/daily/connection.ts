import type { Clock, Timer } from '@tavus-fleet/lifecycle';
import { ClientMessage } from './protocol.ts';
import type { Link, Member, Room } from './room.ts';
import type { Rooms } from './rooms.ts';

const HELLO_DEADLINE_MS = 10_000;

/**
 * One socket from its first message to its end: the first must be `join` or `resume`, within 10 s; after that messages go
 * to the room. A message that does not parse is counted and ignored, as Daily ignores what it does not know.
 */
export class Connection {
  malformed = 0;
  readonly #rooms: Rooms;
  readonly #link: Link;
  readonly #hello: Timer;
  #at: { room: Room; member: Member } | null = null;

  constructor(rooms: Rooms, link: Link, clock: Clock) {
    this.#rooms = rooms;
    this.#link = link;
    this.#hello = clock.after(HELLO_DEADLINE_MS, () => link.hangUp());
  }

  receive(text: string): void {
    const parsed = parse(text);
    if (!parsed) {
      this.malformed += 1;
      return;
    }
    if (!this.#at) return this.#first(parsed);
    const { room, member } = this.#at;
    switch (parsed.type) {
      case 'update':
        return room.update(member, parsed);
      case 'signal':
        return room.signal(member, parsed.to, parsed.data);
      case 'app-message':
        return room.appMessage(member, parsed.to, parsed.data);
      case 'leave':
        room.leave(member);
        return this.#link.hangUp();
      case 'join':
      case 'resume':
        this.malformed += 1;
    }
  }

  /** The socket is gone. `saidGoodbye`: the page closed it or was navigated away, so nobody will come back. */
  closed(saidGoodbye: boolean): void {
    this.#hello[Symbol.dispose]();
    const at = this.#at;
    this.#at = null;
    if (!at) return;
    if (saidGoodbye && at.member.link === this.#link) at.room.leave(at.member);
    else at.room.dropped(at.member, this.#link);
  }

  #first(message: ClientMessage): void {
    if (message.type !== 'join' && message.type !== 'resume') return this.#link.hangUp();
    this.#hello[Symbol.dispose]();
    if (message.type === 'join') {
      this.#at = this.#rooms.join(message, this.#link);
      return;
    }
    const resumed = this.#rooms.resume(message.sessionId, message.secret, this.#link);
    if (resumed === 'later') return this.#link.cut();
    if (resumed) {
      this.#at = resumed;
      return;
    }
    this.#link.send({ type: 'fatal', error: 'connection-error', message: 'The session is no longer known' });
    this.#link.hangUp();
  }
}

function parse(text: string): ClientMessage | null {
  try {
    const result = ClientMessage.safeParse(JSON.parse(text));
    return result.success ? result.data : null;
  } catch {
    return null; // not JSON: the same as a message of no known shape
  }
}
