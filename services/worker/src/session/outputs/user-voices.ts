import type { Participant, RoomEvent, RoomName } from '@tavus-fleet/rooms';
import { isBot } from '@tavus-fleet/video-service';

/** As many voices at once as a session carries: each is decoded and read, about 5 % of a core. Our choice. */
export const MAX_VOICES = 8;

type Options = {
  /** Where the users are: their own room, or with the avatar. */
  readonly where: RoomName;
  readonly hear: (participantIds: readonly string[]) => void;
  /** The avatar, which is no user; undefined: nobody knows yet, and then it could be anybody. */
  readonly replicaId: () => string | undefined;
  /** Called once: more users are there than can be heard. */
  readonly onTooMany: () => void;
};

/**
 * Says whose voices are handed out: everybody in the users' room, first come first, but neither the avatar nor any bot of the
 * fleet (those name their conversation in their user data).
 */
export class UserVoices {
  readonly #options: Options;
  readonly #users = new Map<string, Participant>();
  #heard: readonly string[] = [];
  #toldTooMany = false;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Who was there when we joined. */
  present(participants: readonly Participant[]): void {
    for (const participant of participants) this.#users.set(participant.id, participant);
    this.#look();
  }

  /** To be called after whoever finds the avatar has seen the event. */
  roomEvent(event: RoomEvent): void {
    const { where } = this.#options;
    if ((event.type === 'participant-joined' || event.type === 'participant-updated') && event.room === where)
      return this.present([event.participant]);
    if (event.type === 'participant-left' && event.room === where) this.#users.delete(event.participant.id);
    // Once a second: by now the avatar may be known by a name that came later than itself.
    if (event.type === 'participant-left' || event.type === 'media') this.#look();
  }

  #look(): void {
    const { where, replicaId, hear, onTooMany } = this.#options;
    const replica = replicaId();
    if (where === 'tavus' && replica === undefined) return;
    const users = [...this.#users.values()].filter((user) => !user.local && user.id !== replica && !isBot(user));
    if (users.length > MAX_VOICES && !this.#toldTooMany) {
      this.#toldTooMany = true;
      onTooMany();
    }
    const ids = users.slice(0, MAX_VOICES).map(({ id }) => id);
    if (ids.join() === this.#heard.join()) return;
    this.#heard = ids;
    hear(ids);
  }
}
