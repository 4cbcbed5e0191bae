import type { Clock } from '@tavus-fleet/lifecycle';
import type { RoomEvent } from '@tavus-fleet/rooms';
import { Countdown, type Check, type Tell, type Trip } from './check.ts';

/** Longer than the pauses of a healthy call that were seen when daily-js re-negotiates; soon enough for a user interface to say so. */
const TOLD_MS = 5_000;
/** Shorter than anybody looks at a still picture (our choice). */
const LOST_MS = 20_000;

/**
 * The replica is there but sends nothing: no new picture (audio only: no new sound). Told after TOLD_MS, lost after LOST_MS.
 * Media truth, not presence.
 */
export class ReplicaStillCheck implements Check {
  readonly #told: Countdown;
  readonly #lost: Countdown;
  readonly #audioOnly: boolean;
  #received = 0;

  constructor(clock: Clock, audioOnly: boolean, tell: Tell, trip: Trip) {
    this.#audioOnly = audioOnly;
    const what = audioOnly ? 'sound' : 'picture';
    this.#told = new Countdown(clock, TOLD_MS, () =>
      tell('replica-frozen', `No new ${what} of the replica for ${TOLD_MS} ms.`),
    );
    this.#lost = new Countdown(clock, LOST_MS, () => trip('replica-lost'));
    this.#touch();
  }

  handle(event: RoomEvent): void {
    if (event.type !== 'media') return;
    const received = this.#audioOnly ? event.report.audioSamples : event.report.framesDecoded;
    // Counters begin anew with another participant: any change is life.
    if (received !== this.#received) this.#touch();
    this.#received = received;
  }

  close(): void {
    this.#told.close();
    this.#lost.close();
  }

  #touch(): void {
    this.#told.touch();
    this.#lost.touch();
  }
}
