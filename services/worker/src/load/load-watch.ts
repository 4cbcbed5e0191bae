import type { Clock, Timer } from '@tavus-fleet/lifecycle';
import { nearness, shortOf, smoothed, type Bands, type Shortage, type Signals } from './brake.ts';

const EVERY_MS = 1_000;
/** A start is a few seconds of much work: shorter, and each would brake the next. */
const WINDOW_MS = 5_000;

/** Where the signals come from; each may answer that it does not know. */
export interface LoadMeters {
  cpu(): Promise<number | undefined>;
  memory(): Promise<number | undefined>;
  eventLoopMs(): number | undefined;
}

/**
 * Looks every second at what this worker uses and says what is short. It brakes, it never ends a session: who is there stays, and
 * a conversation that lost its owner is still taken, for its load was in the fleet before.
 */
export class LoadWatch {
  readonly #meters: LoadMeters;
  readonly #bands: Bands;
  readonly #clock: Clock;
  readonly #log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
  #signals: Signals = {};
  #short: ReadonlySet<Shortage> = new Set();
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: {
    meters: LoadMeters;
    bands: Bands;
    clock: Clock;
    log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
  }) {
    this.#meters = options.meters;
    this.#bands = options.bands;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  start(): void {
    this.#timer ??= this.#clock.every(EVERY_MS, () => void this.look());
    void this.look();
  }

  /** What is short now, the worst first. */
  get short(): Shortage | undefined {
    const [first] = this.#short;
    return first;
  }

  /** How near the nearest limit is, 0–1. */
  get nearness(): number {
    return nearness(this.#signals, this.#bands);
  }

  get signals(): Signals {
    return this.#signals;
  }

  /** Looks now; never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** May be called twice. */
  close(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    // A meter that fails knows nothing: it must not keep the worker from working.
    const [cpu, memory] = await Promise.all([
      this.#meters.cpu().catch(() => undefined),
      this.#meters.memory().catch(() => undefined),
    ]);
    const before = this.#signals;
    const step = (was: number | undefined, is: number | undefined): number | undefined =>
      smoothed(was, is, EVERY_MS, WINDOW_MS);
    this.#signals = {
      cpu: step(before.cpu, cpu),
      memory, // not smoothed: what is used up is used up
      eventLoopMs: step(before.eventLoopMs, this.#meters.eventLoopMs()),
    };
    const was = this.short;
    this.#short = shortOf(this.#short, this.#signals, this.#bands);
    if (this.short === was) return;
    if (this.short) this.#log.warn({ why: this.short, ...this.#signals }, 'no further conversation is taken: overload');
    else this.#log.info({ ...this.#signals }, 'conversations are taken again');
  }
}
