import type { Clock, Timer } from '@tavus-fleet/lifecycle';
import type { Check, Trip } from './check.ts';

const LOOK_MS = 1_000;

/** Nobody feeds it: no frame came for the limit, and nothing that came is still being played. Looks once a second, so that a frame costs nothing here. */
export class IdleCheck implements Check {
  readonly #timer: Timer;
  #activeAt: number;

  constructor(clock: Clock, limitSeconds: number, busy: () => { frames: number; bufferedMs: number }, trip: Trip) {
    this.#activeAt = clock.now();
    let seen = 0;
    this.#timer = clock.every(Math.min(LOOK_MS, limitSeconds * 250), () => {
      const { frames, bufferedMs } = busy();
      if (frames !== seen || (bufferedMs > 0 && Number.isFinite(bufferedMs))) this.#activeAt = clock.now();
      seen = frames;
      if (clock.now() - this.#activeAt >= limitSeconds * 1_000) trip('idle');
    });
  }

  close(): void {
    this.#timer[Symbol.dispose]();
  }
}
