import type { Clock } from '@tavus-fleet/lifecycle';

/**
 * How much of what was sent has been heard, by what the api says of one connection after the other. It counts what one connection
 * brought; of what earlier ones brought and nobody had heard at the cut we assume that it plays on in real time.
 */
export class LineProgress {
  readonly #clock: Clock;
  #acceptedMs = 0;
  #bufferedMs = 0;
  #earlier = { ms: 0, at: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get progress(): { acceptedMs: number; heardMs: number } {
    return { acceptedMs: this.#acceptedMs, heardMs: this.#acceptedMs - this.#bufferedMs - this.earlierMs };
  }

  /** What earlier connections brought and is probably not yet heard, ms. */
  get earlierMs(): number {
    return Math.max(0, this.#earlier.ms - (this.#clock.now() - this.#earlier.at));
  }

  accepted(ms: number): void {
    this.#acceptedMs += ms;
    this.#bufferedMs += ms; // until the api says better
  }

  /** By the api: brought by this connection and not yet heard. */
  buffered(ms: number): void {
    this.#bufferedMs = Math.min(ms, this.#acceptedMs);
  }

  /** The connection is gone, and what it counted. */
  cut(): void {
    this.#earlier = { ms: this.earlierMs + this.#bufferedMs, at: this.#clock.now() };
    this.#bufferedMs = 0;
  }

  /** Of a message that an earlier connection brought we learn only now. */
  acceptedEarlier(ms: number): void {
    this.#acceptedMs += ms;
    this.#earlier = { ms: this.earlierMs + ms, at: this.#clock.now() };
  }

  /** What waited will not be heard. */
  clear(): void {
    this.#bufferedMs = 0;
    this.#earlier = { ms: 0, at: 0 };
  }
}
