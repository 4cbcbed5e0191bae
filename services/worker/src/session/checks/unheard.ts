import type { Clock, Timer } from '@tavus-fleet/lifecycle';
import type { Participant, RoomEvent } from '@tavus-fleet/rooms';
import type { Check } from './check.ts';

/** A replica answers speech within its own delay, well below this. */
const UNHEARD_MS = 3_000;
/** A predecessor's participant is gone within seconds as a rule; who listens does not wait longer for one that stays. */
const GHOST_MS = 5_000;

/**
 * A successor publishes beside what is left of its predecessor, and a replica may go on listening to that (which of two tracks of the
 * same name it takes is not documented). Nothing heard of it UNHEARD_MS after our first speech: trips when the ghost is gone, or
 * GHOST_MS later. Anything heard of it settles the matter for good.
 */
export class UnheardCheck implements Check {
  readonly #clock: Clock;
  readonly #isGhost: (participant: Participant) => boolean;
  readonly #trip: () => void;
  readonly #onHeard: () => void;
  readonly #ghosts = new Set<string>();
  #timer: Timer | undefined;
  #isUnheard = false;
  #isOver = false;

  constructor(options: {
    clock: Clock;
    isGhost: (participant: Participant) => boolean;
    trip: () => void;
    /** It hears us: what was played up to now was not in vain. */
    onHeard: () => void;
  }) {
    this.#clock = options.clock;
    this.#isGhost = options.isGhost;
    this.#trip = options.trip;
    this.#onHeard = options.onHeard;
  }

  present(participants: readonly Participant[]): void {
    for (const participant of participants) if (this.#isGhost(participant)) this.#ghosts.add(participant.id);
  }

  /** Speech of ours will be played in `inMs`. */
  speech(inMs: number): void {
    if (!this.#isOver) this.#timer ??= this.#clock.after(inMs + UNHEARD_MS, () => this.#unheard());
  }

  /** The replica speaks. */
  heard(): void {
    if (this.#isOver) return;
    this.close();
    this.#onHeard();
  }

  handle(event: RoomEvent): void {
    if (event.type === 'speech' && event.speaking) this.heard();
    else if (event.type === 'participant-left' && event.room === 'tavus' && this.#ghosts.delete(event.participant.id))
      this.#ghostGone();
  }

  close(): void {
    this.#isOver = true;
    this.#timer?.[Symbol.dispose]();
  }

  #unheard(): void {
    this.#isUnheard = true;
    if (this.#ghosts.size === 0) return this.#ghostGone();
    this.#timer = this.#clock.after(GHOST_MS, () => this.#end());
  }

  #ghostGone(): void {
    if (this.#isUnheard && this.#ghosts.size === 0) this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.close();
    this.#trip();
  }
}
