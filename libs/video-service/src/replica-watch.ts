import { FleetError } from '@tavus-fleet/contracts';
import { Latch, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import type { Participant, Room, RoomEvent, WatchOptions } from '@tavus-fleet/rooms';
import type { FrameSink } from './frames.ts';
import { findReplica } from './replica.ts';

/** A replica that left comes back within this time or not at all (our choice: Tavus' own default for a left participant is 0 s). */
const RETURN_MS = 10_000;

/**
 * Follows who is the replica in the Tavus room. Watches it, and watches again when another takes its place (Pipecat never
 * re-armed: a replica that came back was not seen). Says `arrived` on the first picture, and `lost` when it stays away.
 */
export class ReplicaWatch {
  readonly #room: Room;
  readonly #sink: FrameSink;
  readonly #clock: Clock;
  readonly #wanted: WatchOptions;
  readonly #participants = new Map<string, Participant>();
  readonly #arrived = new Latch<void>();
  readonly #lost = new Latch<FleetError>();
  #personaName: string | undefined;
  #replica: Participant | undefined;
  #returning: Timer | undefined;
  #closed = false;

  constructor(room: Room, sink: FrameSink, clock: Clock, wanted: WatchOptions) {
    this.#room = room;
    this.#sink = sink;
    this.#clock = clock;
    this.#wanted = wanted;
  }

  /** Its first picture (audio-only: its presence) was seen. */
  get arrived(): Promise<void> {
    return this.#arrived.promise;
  }

  get lost(): Promise<FleetError> {
    return this.#lost.promise;
  }

  get replica(): Participant | undefined {
    return this.#replica;
  }

  /** Everybody else in the Tavus room, as far as we were told. */
  get others(): Participant[] {
    return [...this.#participants.values()].filter(({ id, local }) => !local && id !== this.#replica?.id);
  }

  /** The persona's name may come later than the participants do. */
  named(personaName: string): void {
    this.#personaName = personaName;
    this.#choose();
  }

  present(participants: readonly Participant[]): void {
    for (const participant of participants) this.#participants.set(participant.id, participant);
    this.#choose();
  }

  handle(event: RoomEvent): void {
    if (event.type === 'video-arrived') this.#arrived.set();
    if (!('room' in event) || event.room !== 'tavus') return;
    if (event.type === 'participant-joined' || event.type === 'participant-updated') {
      this.present([event.participant]);
    } else if (event.type === 'participant-left') {
      this.#participants.delete(event.participant.id);
      if (event.participant.id === this.#replica?.id) this.#left(event.participant, event.reason);
    }
  }

  /** May be called twice. A name that comes later changes nothing any more. */
  close(): void {
    this.#closed = true;
    this.#returning?.[Symbol.dispose]();
  }

  #choose(): void {
    if (this.#replica || this.#closed) return;
    const replica = findReplica(this.#participants.values(), this.#personaName);
    if (!replica) return;
    this.#replica = replica;
    this.#returning?.[Symbol.dispose]();
    this.#returning = undefined;
    this.#room.watch(replica.id, this.#wanted);
    this.#sink.push({
      type: 'replica-joined',
      participantId: replica.id,
      ...(replica.userName === undefined ? {} : { userName: replica.userName }),
    });
    if (!this.#wanted.video) this.#arrived.set();
  }

  #left(participant: Participant, reason: string | undefined): void {
    this.#replica = undefined;
    this.#sink.push({
      type: 'replica-left',
      participantId: participant.id,
      ...(reason === undefined ? {} : { reason }),
    });
    this.#returning = this.#clock.after(RETURN_MS, () => {
      this.#lost.set(new FleetError('replica-lost', `The replica left and did not come back within ${RETURN_MS} ms.`));
    });
    this.#choose();
  }
}
