import type { Clock } from '@tavus-fleet/lifecycle';
import type { RoomEvent } from '@tavus-fleet/rooms';
import { Countdown, type Check, type Trip } from './check.ts';

/** Longer than any re-negotiation seen with daily-js; shorter than anybody looks at a still picture (our choice). */
const FROZEN_MS = 20_000;

/** The replica is there but sends nothing: no new picture (audio only: no new sound) for FROZEN_MS. Media truth, not presence. */
export class ReplicaFrozenCheck implements Check {
  readonly #countdown: Countdown;
  readonly #audioOnly: boolean;
  #received = 0;

  constructor(clock: Clock, audioOnly: boolean, trip: Trip) {
    this.#audioOnly = audioOnly;
    this.#countdown = new Countdown(clock, FROZEN_MS, () => trip('replica-lost'));
    this.#countdown.touch();
  }

  handle(event: RoomEvent): void {
    if (event.type !== 'media') return;
    const received = this.#audioOnly ? event.report.audioSamples : event.report.framesDecoded;
    // Counters begin anew with another participant: any change is life.
    if (received !== this.#received) this.#countdown.touch();
    this.#received = received;
  }

  close(): void {
    this.#countdown.close();
  }
}
