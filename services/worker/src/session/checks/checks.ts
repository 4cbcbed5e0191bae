import { FleetError, type EndReason, type Limits } from '@tavus-fleet/contracts';
import type { Clock } from '@tavus-fleet/lifecycle';
import type { Participant, Room, RoomName } from '@tavus-fleet/rooms';
import type { Ending } from '../ending.ts';
import { Countdown, type Check, type Tell } from './check.ts';
import { EmptyRoomCheck } from './empty-room.ts';
import { IdleCheck } from './idle.ts';
import { ReplicaMuteCheck } from './replica-mute.ts';
import { ReplicaStillCheck } from './replica-still.ts';

type Options = {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly room: Room;
  readonly audioOnly: boolean;
  /** The replica's sound is received: not in direct mode. */
  readonly listening: boolean;
  readonly tell: Tell;
  readonly trip: (ending: Ending) => void;
  /** Nothing comes of the replica any more: not the conversation's end by itself. */
  readonly replicaLost: (error: FleetError) => void;
  /** Activity so far: frames read, speech that is still to be heard, and speech that was played to the replica. */
  readonly activity: () => { frames: number; bufferedMs: number; playedMs: number };
};

/** Every liveness rule of one session: made together, closed together. */
export class Checks implements Check {
  readonly #options: Options;
  readonly #running: Check[] = [];

  constructor(options: Options) {
    this.#options = options;
  }

  /** From now on the user room counts: it is empty until somebody who is no bot is in it. */
  inUserRoom(present: readonly Participant[]): void {
    this.#watchRoom('user', present, isUser);
  }

  /** Users are in the Tavus room itself: from now on that one counts. `isReplica` is asked as people come. */
  inDirectRoom(present: readonly Participant[], isReplica: (participantId: string) => boolean): void {
    this.#watchRoom('tavus', present, (participant) => isUser(participant) && !isReplica(participant.id));
  }

  #watchRoom(
    which: RoomName,
    present: readonly Participant[],
    counts: (participant: { id: string; userData?: unknown }) => boolean,
  ): void {
    const { clock, limits, room, trip } = this.#options;
    const check = new EmptyRoomCheck(clock, limits.emptyRoomSeconds, which, counts, (reason) =>
      trip({ how: 'cancel', reason }),
    );
    const unsubscribe = room.on((event) => check.handle(event));
    check.start(present);
    this.#running.push(check, { close: unsubscribe });
  }

  /** From now on nobody feeding it, a replica without picture or voice, and its whole duration count. `forMs`: it was live before. */
  live(forMs = 0): void {
    const { clock, limits, room, audioOnly, listening, tell, activity, replicaLost } = this.#options;
    const trip = (reason: EndReason): void => this.#options.trip({ how: 'cancel', reason });
    const durationMs = Math.max(0, limits.maxDurationSeconds * 1_000 - forMs);
    const duration = new Countdown(clock, durationMs, () => trip('max-duration'));
    duration.touch();
    const lost = (): void => replicaLost(new FleetError('replica-lost', 'Nothing comes of the replica any more.'));
    const replica = [
      // Audio only in direct mode: nothing of the replica is received, so nothing can be said of it.
      ...(audioOnly && !listening ? [] : [new ReplicaStillCheck(clock, audioOnly, tell, lost)]),
      ...(listening ? [new ReplicaMuteCheck(clock, () => activity().playedMs, tell, lost)] : []),
    ];
    const unsubscribe = room.on((event) => {
      for (const check of replica) check.handle(event);
    });
    this.#running.push(
      ...replica,
      { close: unsubscribe },
      duration,
      new IdleCheck(clock, limits.idleTimeoutSeconds, activity, trip),
    );
  }

  close(): void {
    for (const check of this.#running.splice(0)) check.close();
  }
}

/** Our own bots carry the conversation in their user data; everybody else is somebody who watches. */
function isUser(participant: { userData?: unknown }): boolean {
  const { userData } = participant;
  return !(typeof userData === 'object' && userData !== null && 'conversationId' in userData && 'epoch' in userData);
}
