import type { EndReason, ErrorCode } from '@tavus-fleet/contracts';
import type { Clock, Timer } from '@tavus-fleet/lifecycle';

/** One rule that ends a conversation nobody feeds, watches or can start. Tripping is final; `close()` stops watching. */
export interface Check {
  close(): void;
}

export type Trip = (reason: EndReason) => void;
/** Says what is wrong before anything is ended: a user interface can, and often it passes. */
export type Tell = (code: ErrorCode, message: string) => void;

/** A timer that can be pushed back: trips when `ms` passed without a `touch()`, unless paused. */
export class Countdown implements Check {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #trip: () => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, ms: number, trip: () => void) {
    this.#clock = clock;
    this.#ms = ms;
    this.#trip = trip;
  }

  /** Starts, or starts over. */
  touch(): void {
    this.pause();
    this.#timer = this.#clock.after(this.#ms, this.#trip);
  }

  pause(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  get running(): boolean {
    return this.#timer !== undefined;
  }

  close(): void {
    this.pause();
  }
}
