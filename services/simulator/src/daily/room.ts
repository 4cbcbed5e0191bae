import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock, Timer } from '@tavus-fleet/lifecycle';
import type { ParticipantView, RoomError } from '../ports.ts';
import {
  DEFAULT_APP_MESSAGE_LIMIT,
  type ServerMessage,
  type Signal,
  type WireParticipant,
  type WireTrack,
} from './protocol.ts';

/** One page's connection as the room needs it; a fake is two functions. */
export interface Link {
  send(message: ServerMessage): void;
  /** Cuts the connection without a word, as a broken network does. */
  cut(): void;
  /** Hangs up after what was sent. */
  hangUp(): void;
}

export type Joiner = {
  readonly userId: string;
  readonly userName: string;
  readonly userData: unknown;
  readonly tracks: Readonly<Record<string, WireTrack>>;
  readonly isReplica: boolean;
};

export type RoomPorts = {
  readonly clock: Clock;
  readonly lingerMs: () => number;
  readonly appMessageLimit: () => number | undefined;
  /** Nobody joins from another machine, so media need not leave this one. */
  readonly mediaStaysHere: boolean;
  readonly onPresence: (kind: 'joined' | 'left', member: Member) => void;
  readonly onMessage: (to: Member, from: string, data: unknown) => void;
};

/** One participant as the room holds it. Its link is null while the connection is down. */
export type Member = {
  participant: WireParticipant;
  readonly isReplica: boolean;
  readonly secret: string;
  readonly appMessageLimit: number;
  link: Link | null;
  /** What to send once the page is back; bounded, the oldest goes first. */
  waiting: ServerMessage[];
  gone: Timer | null;
  /** Until then the page may not come back (a simulated outage); milliseconds of the clock. */
  suspendedUntil: number;
};

/** A page that lost its socket tries to come back for this long (the call machine gives up after the same time). */
export const RECONNECT_GRACE_MS = 8_000;
const MAX_WAITING = 500;

/**
 * One room: who is in it, what they publish, and who gets which message. It knows nothing of WebSockets and of the rules
 * of admission (rooms.ts). A member whose link drops stays as a ghost for the linger time and may come back as the same
 * session; a member that says goodbye is gone at once.
 */
export class Room {
  readonly meetingId = randomUUID();
  /** App messages larger than the meeting's limit: daily-js refuses them in the page, a page that does not is ignored. */
  droppedMessages = 0;
  readonly #members = new Map<string, Member>();
  readonly #ports: RoomPorts;

  constructor(ports: RoomPorts) {
    this.#ports = ports;
  }

  get size(): number {
    return this.#members.size;
  }

  join(joiner: Joiner, link: Link): Member {
    const limit = this.#ports.appMessageLimit();
    const participant: WireParticipant = {
      sessionId: randomUUID(),
      userId: joiner.userId,
      userName: joiner.userName,
      userData: joiner.userData,
      joinedAt: Math.floor(this.#ports.clock.now()),
      tracks: joiner.tracks,
    };
    const member: Member = {
      participant,
      isReplica: joiner.isReplica,
      secret: randomBytes(16).toString('hex'),
      appMessageLimit: limit ?? DEFAULT_APP_MESSAGE_LIMIT,
      link,
      waiting: [],
      gone: null,
      suspendedUntil: 0,
    };
    link.send({
      type: 'joined',
      meetingId: this.meetingId,
      secret: member.secret,
      self: participant,
      others: this.#others(member),
      candidates: this.#ports.mediaStaysHere ? 'loopback' : 'all',
      ...(limit === undefined ? {} : { appMessageLimit: limit }),
    });
    this.#members.set(participant.sessionId, member);
    this.#broadcast(member, { type: 'participant', participant, isNew: true });
    this.#ports.onPresence('joined', member);
    return member;
  }

  /** Gives a dropped page its session back. Null: not known (any more), or a wrong secret. 'later': the outage still lasts. */
  resume(sessionId: string, secret: string, link: Link): Member | 'later' | null {
    const member = this.#members.get(sessionId);
    if (!member || member.secret !== secret) return null;
    if (member.suspendedUntil > this.#ports.clock.now()) return 'later';
    member.link?.cut(); // a half-open old socket must not steal the messages
    member.gone?.[Symbol.dispose]();
    member.gone = null;
    member.link = link;
    link.send({ type: 'resumed', others: this.#others(member) });
    for (const message of member.waiting.splice(0)) link.send(message);
    return member;
  }

  /** The page's connection broke; `link` tells an old socket's late close from the present one's. */
  dropped(member: Member, link: Link): void {
    if (member.link !== link || !this.#members.has(member.participant.sessionId)) return;
    member.link = null;
    this.#removeAfter(member, this.#ports.lingerMs());
  }

  leave(member: Member): void {
    if (!this.#members.delete(member.participant.sessionId)) return;
    member.gone?.[Symbol.dispose]();
    member.link = null;
    member.waiting = [];
    this.#broadcast(member, { type: 'participant-left', sessionId: member.participant.sessionId });
    this.#ports.onPresence('left', member);
  }

  update(
    member: Member,
    change: { tracks?: WireParticipant['tracks'] | undefined; userName?: string | undefined; userData?: unknown },
  ): void {
    member.participant = {
      ...member.participant,
      ...(change.tracks === undefined ? {} : { tracks: change.tracks }),
      ...(change.userName === undefined ? {} : { userName: change.userName }),
      ...(change.userData === undefined ? {} : { userData: change.userData }),
    };
    this.#broadcast(member, { type: 'participant', participant: member.participant, isNew: false });
  }

  signal(member: Member, to: string, data: Signal): void {
    const target = this.#members.get(to);
    if (target) this.#send(target, { type: 'signal', from: member.participant.sessionId, data });
  }

  /** `to` is `*`, a session id or a list of them. The sender gets no copy (documented by Daily). */
  appMessage(member: Member, to: string | readonly string[], data: unknown): void {
    if ((JSON.stringify(data) ?? '').length > member.appMessageLimit) {
      this.droppedMessages += 1;
      return;
    }
    const from = member.participant.sessionId;
    for (const target of this.#members.values()) {
      const { sessionId } = target.participant;
      if (target === member || !(to === '*' || (typeof to === 'string' ? to === sessionId : to.includes(sessionId))))
        continue;
      this.#send(target, { type: 'app-message', from, data });
      this.#ports.onMessage(target, from, data);
    }
  }

  eject(sessionId: string, error: RoomError, message: string): boolean {
    const member = this.#members.get(sessionId);
    if (!member) return false;
    const link = member.link;
    this.leave(member);
    link?.send({ type: 'fatal', error, message });
    link?.hangUp();
    return true;
  }

  ejectAll(error: RoomError, message: string): void {
    for (const sessionId of this.#members.keys()) this.eject(sessionId, error, message);
  }

  /** Cuts everyone but the replica for `ms`. They stay visible, and have the usual time to come back afterwards. */
  interrupt(ms: number): void {
    for (const member of this.#members.values()) {
      if (member.isReplica) continue;
      member.suspendedUntil = this.#ports.clock.now() + ms;
      const link = member.link;
      member.link = null;
      this.#removeAfter(member, ms + RECONNECT_GRACE_MS);
      link?.cut();
    }
  }

  views(): ParticipantView[] {
    return [...this.#members.values()].map(viewOf);
  }

  #removeAfter(member: Member, ms: number): void {
    member.gone?.[Symbol.dispose]();
    if (ms <= 0) return this.leave(member);
    member.gone = this.#ports.clock.after(ms, () => this.leave(member));
  }

  #others(member: Member): WireParticipant[] {
    return [...this.#members.values()].filter((other) => other !== member).map((other) => other.participant);
  }

  #broadcast(from: Member, message: ServerMessage): void {
    for (const member of this.#members.values()) if (member !== from) this.#send(member, message);
  }

  #send(member: Member, message: ServerMessage): void {
    if (member.link) return member.link.send(message);
    // Presence is told anew on resume; only what would otherwise be lost waits.
    if (message.type !== 'signal' && message.type !== 'app-message') return;
    member.waiting.push(message);
    if (member.waiting.length > MAX_WAITING) member.waiting.shift();
  }
}

/** A member as `/sim/state` shows it: only tracks that are on. */
export function viewOf(member: Member): ParticipantView {
  const { sessionId, userId, userName, userData, joinedAt, tracks } = member.participant;
  return {
    sessionId,
    userId,
    userName,
    userData: userData ?? null,
    joinedAt: new Date(joinedAt).toISOString(),
    tracks: Object.keys(tracks).filter((key) => tracks[key]?.on === true),
  };
}
