import { randomBytes, randomUUID } from 'node:crypto';
import { Emitter, type Clock } from '@tavus-fleet/lifecycle';
import type { DailyRooms, ParticipantView, RoomError } from '../ports.ts';
import type { ClientMessage } from './protocol.ts';
import { Room, viewOf, type Link, type Member } from './room.ts';
import { roomOfUrl, type RoomKey } from './room-url.ts';

type Presence = { room: string; kind: 'joined' | 'left'; participant: ParticipantView; isReplica: boolean };
type Join = Extract<ClientMessage, { type: 'join' }>;

/** A seat kept for the replica of one room: its page joins with `key`, so no stranger can pose as a replica. */
export interface ReplicaPass {
  readonly key: string;
  /** Every app message that reached the replica, with the sender's session id. */
  onMessage(listener: (message: { from: string; data: unknown }) => void): () => void;
  /** Sends an app message as the replica; false while it is not in the room. */
  say(data: unknown): boolean;
  /** Takes the seat away; the replica, if it is there, is gone at once. May be called twice. */
  revoke(): void;
}

type Seat = {
  readonly room: string;
  readonly userId: string;
  readonly messages: Emitter<{ from: string; data: unknown }>;
  at: { room: Room; member: Member } | null;
};
type Entry = { readonly key: RoomKey; readonly room: Room; readonly maxParticipants: number };

/** How long a page that vanished without goodbye stays visible. Our choice; Daily's figure is not documented. */
const DEFAULT_LINGER_MS = 3_000;
/** Closed rooms remembered, to refuse late joins with the same error. */
const MAX_CLOSED = 5_000;

const TEXTS: Record<RoomError, string> = {
  ejected: 'You have been ejected from this meeting',
  'exp-room': 'The meeting you tried to join has ended',
  // "deleted": daily-js (0.92.2) reports a no-room without this word to its makers, and nothing shall leave this machine.
  'no-room': 'The meeting you tried to join does not exist or was deleted',
  'meeting-full': 'This meeting is full',
  'end-of-life': 'This version of the library is no longer supported',
  'connection-error': 'The connection to the meeting was lost',
};

/**
 * The rules of admission and the list of rooms. Tavus rooms exist from `open` to `close`; user rooms are made by the
 * first join and forgotten when the last participant has left. A plain name means the Tavus room where both kinds have it.
 */
export class Rooms implements DailyRooms {
  readonly #clock: Clock;
  readonly #presence: Emitter<Presence>;
  readonly #onError: (error: unknown) => void;
  readonly #allowedHosts: readonly string[];
  readonly #entries = new Map<string, Entry>();
  readonly #closed = new Map<string, RoomError>();
  readonly #refusals = new Map<string, { error: RoomError; left: number }>();
  readonly #seats = new Map<string, Seat>();
  #appMessageLimit: number | undefined;
  #lingerMs = DEFAULT_LINGER_MS;

  constructor(ports: { clock: Clock; onError: (error: unknown) => void; allowedHosts?: readonly string[] }) {
    this.#clock = ports.clock;
    this.#allowedHosts = ports.allowedHosts ?? [];
    this.#onError = ports.onError;
    this.#presence = new Emitter(ports.onError);
  }

  open(room: { name: string; maxParticipants?: number }): void {
    const key: RoomKey = { kind: 'tavus', name: room.name };
    this.#closed.delete(id(key));
    if (!this.#entries.has(id(key))) this.#add(key, room.maxParticipants ?? Infinity);
  }

  close(name: string, error: RoomError): void {
    const entry = this.#named(name);
    const key = id(entry?.key ?? { kind: 'tavus', name });
    this.#closed.set(key, error);
    const oldest = this.#closed.keys().next();
    if (this.#closed.size > MAX_CLOSED && !oldest.done) this.#closed.delete(oldest.value);
    this.#entries.delete(key);
    entry?.room.ejectAll(error, TEXTS[error]);
  }

  eject(name: string, sessionId: string): boolean {
    return this.#named(name)?.room.eject(sessionId, 'ejected', TEXTS.ejected) ?? false;
  }

  refuseJoins(name: string, error: RoomError, count: number): void {
    if (count <= 0) this.#refusals.delete(name);
    else this.#refusals.set(name, { error, left: count });
  }

  interruptNetwork(name: string, ms: number): void {
    this.#named(name)?.room.interrupt(ms);
  }

  setAppMessageLimit(limit: number | undefined): void {
    this.#appMessageLimit = limit;
  }

  setLinger(ms: number): void {
    this.#lingerMs = ms;
  }

  rooms(): readonly { name: string; kind: RoomKey['kind']; participants: readonly ParticipantView[] }[] {
    return [...this.#entries.values()].map(({ key, room }) => ({ ...key, participants: room.views() }));
  }

  onPresence(listener: (event: Presence) => void): () => void {
    return this.#presence.on(listener);
  }

  /** True while a Tavus room of this name is open. */
  isOpen(name: string): boolean {
    return this.#entries.has(id({ kind: 'tavus', name }));
  }

  admitReplica(seat: { room: string; userId: string }): ReplicaPass {
    const key = randomBytes(16).toString('hex');
    const held: Seat = { ...seat, messages: new Emitter(this.#onError), at: null };
    this.#seats.set(key, held);
    return {
      key,
      onMessage: (listener) => held.messages.on(listener),
      say: (data) => {
        held.at?.room.appMessage(held.at.member, '*', data);
        return held.at !== null;
      },
      revoke: () => {
        held.at?.room.eject(held.at.member.participant.sessionId, 'ejected', TEXTS.ejected);
        this.#seats.delete(key); // after the leave, which empties the seat
      },
    };
  }

  /** Lets a page in, or tells it why not and hangs up (null). */
  join(request: Join, link: Link): { room: Room; member: Member } | null {
    const key = roomOfUrl(request.url, this.#allowedHosts);
    const refusal = key ? this.#refuse(key) : 'no-room';
    if (!key || refusal) {
      const error = refusal ?? 'no-room';
      link.send({ type: 'fatal', error, message: TEXTS[error] });
      link.hangUp();
      return null;
    }
    const room = this.#entries.get(id(key))?.room ?? this.#add(key, Infinity);
    const seat = request.replicaKey === undefined ? undefined : this.#seats.get(request.replicaKey);
    const isReplica = seat !== undefined && key.kind === 'tavus' && seat.room === key.name;
    const member = room.join(
      {
        userId: isReplica ? seat.userId : strangersUserId(request.userId),
        userName: request.userName ?? 'Guest',
        userData: request.userData,
        tracks: request.tracks,
        isReplica,
      },
      link,
    );
    if (isReplica) seat.at = { room, member };
    return { room, member };
  }

  /** Gives a dropped page its session back; see `Room.resume`. */
  resume(sessionId: string, secret: string, link: Link): { room: Room; member: Member } | 'later' | null {
    for (const { room } of this.#entries.values()) {
      const member = room.resume(sessionId, secret, link);
      if (member === 'later') return member;
      if (member) return { room, member };
    }
    return null;
  }

  closeAll(): void {
    for (const { key, room } of this.#entries.values()) {
      this.#entries.delete(id(key));
      room.ejectAll('connection-error', TEXTS['connection-error']);
    }
  }

  #refuse(key: RoomKey): RoomError | undefined {
    const closed = this.#closed.get(id(key));
    if (closed) return closed;
    const entry = this.#entries.get(id(key));
    if (!entry && key.kind === 'tavus') return 'no-room';
    const refusal = this.#refusals.get(key.name);
    if (refusal) {
      refusal.left -= 1;
      if (refusal.left <= 0) this.#refusals.delete(key.name);
      return refusal.error;
    }
    return entry && entry.room.size >= entry.maxParticipants ? 'meeting-full' : undefined;
  }

  #named(name: string): Entry | undefined {
    return this.#entries.get(id({ kind: 'tavus', name })) ?? this.#entries.get(id({ kind: 'user', name }));
  }

  #add(key: RoomKey, maxParticipants: number): Room {
    const room: Room = new Room({
      clock: this.#clock,
      lingerMs: () => this.#lingerMs,
      appMessageLimit: () => this.#appMessageLimit,
      mediaStaysHere: this.#allowedHosts.length === 0,
      onPresence: (kind, member) => {
        this.#presence.emit({ room: key.name, kind, participant: viewOf(member), isReplica: member.isReplica });
        if (kind !== 'left') return;
        for (const seat of this.#seats.values()) if (seat.at?.member === member) seat.at = null;
        // The room object decides, not the name: a room of the same name may have been opened anew.
        if (key.kind === 'user' && room.size === 0 && this.#entries.get(id(key))?.room === room)
          this.#entries.delete(id(key));
      },
      onMessage: (to, from, data) => {
        for (const seat of this.#seats.values()) if (seat.at?.member === to) seat.messages.emit({ from, data });
      },
    });
    this.#entries.set(id(key), { key, room, maxParticipants });
    return room;
  }
}

function id(key: RoomKey): string {
  return `${key.kind}:${key.name}`;
}

/** Strangers may name themselves (Daily allows it by token only), but never like a replica: consumers find it by this id. */
function strangersUserId(wanted: string | undefined): string {
  return wanted === undefined || /tavus-(replica|face)/.test(wanted) ? randomUUID() : wanted;
}
