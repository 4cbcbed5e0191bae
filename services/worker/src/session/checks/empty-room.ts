import type { Clock } from '@tavus-fleet/lifecycle';
import type { RoomEvent } from '@tavus-fleet/rooms';
import { Countdown, type Check, type Trip } from './check.ts';

/** Nobody watches: no user in the room where users are, since we joined it or since the last one left. Bots are not users. */
export class EmptyRoomCheck implements Check {
  readonly #users = new Set<string>();
  readonly #room: 'user' | 'tavus';
  readonly #isUser: (participant: { id: string; userData?: unknown }) => boolean;
  readonly #countdown: Countdown;

  constructor(
    clock: Clock,
    limitSeconds: number,
    room: 'user' | 'tavus',
    isUser: (participant: { id: string; userData?: unknown }) => boolean,
    trip: Trip,
  ) {
    this.#room = room;
    this.#isUser = isUser;
    this.#countdown = new Countdown(clock, limitSeconds * 1_000, () => trip('room-empty'));
  }

  /** We are in the room: from now on it counts. */
  start(present: readonly { id: string; local: boolean; userData?: unknown }[]): void {
    for (const participant of present)
      if (!participant.local && this.#isUser(participant)) this.#users.add(participant.id);
    if (this.#users.size === 0) this.#countdown.touch();
  }

  handle(event: RoomEvent): void {
    if (!('room' in event) || event.room !== this.#room) return;
    if (event.type === 'participant-joined' && !event.participant.local && this.#isUser(event.participant)) {
      this.#users.add(event.participant.id);
      this.#countdown.pause();
    } else if (
      event.type === 'participant-left' &&
      this.#users.delete(event.participant.id) &&
      this.#users.size === 0
    ) {
      this.#countdown.touch();
    }
  }

  close(): void {
    this.#countdown.close();
  }
}
