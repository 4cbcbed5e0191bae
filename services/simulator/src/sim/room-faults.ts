import { FAULTS, matches, type FaultName, type FaultRequest, type Faults } from '../faults.ts';
import type { DailyRooms, Replica } from '../ports.ts';
import type { SettingsStore } from '../settings.ts';
import type { Conversation } from '../tavus/conversation.ts';
import type { Conversations } from '../tavus/conversations.ts';

/** The bot's name in a Tavus room: ours is called exactly so, as Pipecat's is. */
const BOT_NAME = 'Pipecat';
const DEFAULT_OUTAGE_MS = 3_000;
const DEFAULT_GHOST_MS = 20_000;
const DEFAULT_MESSAGE_LIMIT = 4_096;

/** Faults that wait for the replica, and faults that need someone else to be there. */
const ON_REPLICA = [
  'replica-leaves',
  'replica-freezes-video',
  'replica-mutes',
  'room-deleted',
  'exp-room',
  'meeting-full',
] as const satisfies FaultName[];
const ON_PARTICIPANT = ['eject-bot', 'network-interrupted'] as const satisfies FaultName[];

type Ports = {
  readonly faults: Faults;
  readonly rooms: DailyRooms;
  readonly conversations: Conversations;
  readonly settings: SettingsStore;
};

/**
 * Honours the faults that happen inside rooms: at once on every running conversation that fits, else on the next one.
 * It remembers only which replicas it hurt, so that "all off" heals them.
 */
export class RoomFaults {
  readonly #ports: Ports;
  readonly #hurt = new Set<Replica>();

  constructor(ports: Ports) {
    this.#ports = ports;
    ports.conversations.onJoined((conversation, who) => this.#joined(conversation, who));
  }

  /** Returns the ids it struck at once; an empty list means that it is armed for later. */
  arm(request: FaultRequest): string[] {
    const { faults, rooms } = this.#ports;
    if (request.fault === 'app-message-limit') rooms.setAppMessageLimit(request.limit ?? DEFAULT_MESSAGE_LIMIT);
    if (request.fault === 'ghost-lingers') rooms.setLinger(request.ms ?? DEFAULT_GHOST_MS);
    const most = request.fault === 'meeting-full' ? Infinity : (request.count ?? Infinity);
    const struck: string[] = [];
    for (const conversation of this.#ports.conversations.active()) {
      if (!matches(request.match, conversation.subject) || struck.length >= most) continue;
      if (this.#strike(conversation, request)) struck.push(conversation.spec.id);
    }
    // Those with a condition of their own stay armed in any case; a room fault that has struck is used up.
    if (FAULTS[request.fault].where !== 'room' || struck.length === 0) faults.arm(request);
    return struck;
  }

  /** Everything off; frozen and muted replicas recover, rooms get their usual limits back. */
  clear(): void {
    const { faults, rooms, settings } = this.#ports;
    faults.clear();
    rooms.setAppMessageLimit(undefined);
    rooms.setLinger(settings.current.ghostLingerMs);
    for (const conversation of this.#ports.conversations.active())
      rooms.refuseJoins(conversation.spec.id, 'meeting-full', 0);
    for (const replica of this.#hurt) {
      replica.freezeVideo(false);
      replica.mute(false);
    }
    this.#hurt.clear();
  }

  #joined(conversation: Conversation, who: 'replica' | 'participant'): void {
    for (const fault of who === 'replica' ? ON_REPLICA : ON_PARTICIPANT) {
      // Asked before it is taken: a user who joins must not use up the bot's ejection.
      if (fault === 'eject-bot' && this.#bots(conversation).length === 0) continue;
      const request = this.#ports.faults.take(fault, conversation.subject);
      if (request !== undefined) this.#strike(conversation, request);
    }
  }

  #strike(conversation: Conversation, request: FaultRequest): boolean {
    const act = this.#action(conversation, request);
    if (act === undefined) return false;
    if (request.afterMs === undefined || request.afterMs === 0) act();
    else conversation.later(request.afterMs, act);
    return true;
  }

  /** What the fault does to this conversation; undefined when there is nothing yet for it to act on. */
  #action(conversation: Conversation, request: FaultRequest): (() => void) | undefined {
    const { rooms } = this.#ports;
    const { id } = conversation.spec;
    const { replica } = conversation;
    const others =
      rooms
        .rooms()
        .find((room) => room.name === id)
        ?.participants.filter((one) => !isReplica(one)) ?? [];
    switch (request.fault) {
      case 'replica-leaves':
        return replica && (() => conversation.loseReplica());
      case 'replica-freezes-video':
        return replica && (() => this.#hurting(replica).freezeVideo(true));
      case 'replica-mutes':
        return replica && (() => this.#hurting(replica).mute(true));
      case 'room-deleted':
        return () => conversation.end({ endedBy: 'daily_room_has_been_deleted', roomError: 'no-room' });
      case 'exp-room':
        return () => conversation.end({ endedBy: 'daily_room_has_been_deleted', roomError: 'exp-room' });
      // Only once the replica is in: it must not be the one who is refused.
      case 'meeting-full':
        return replica && (() => rooms.refuseJoins(id, 'meeting-full', request.count ?? 1));
      case 'eject-bot': {
        if (this.#bots(conversation).length === 0) return undefined;
        return () => {
          for (const bot of this.#bots(conversation)) rooms.eject(id, bot.sessionId);
        };
      }
      case 'network-interrupted':
        return others.length === 0 ? undefined : () => rooms.interruptNetwork(id, request.ms ?? DEFAULT_OUTAGE_MS);
      case 'minutes-run-out':
        return () => conversation.end({ endedBy: 'max_call_duration reached' });
      default:
        return undefined;
    }
  }

  #bots(conversation: Conversation) {
    const room = this.#ports.rooms.rooms().find((one) => one.name === conversation.spec.id);
    return room?.participants.filter((one) => one.userName === BOT_NAME && !isReplica(one)) ?? [];
  }

  #hurting(replica: Replica): Replica {
    this.#hurt.add(replica);
    return replica;
  }
}

const isReplica = (participant: { userId: string | null }): boolean =>
  /tavus-(replica|face)/.test(participant.userId ?? '');
