/** Off by more than this many periods, the schedule says nothing any more: it begins anew (Pipecat's rule for live video). */
const OFF_PERIODS = 5;
/** A picture that comes with its slot is not put off by a rounding error (of ms since 1970 a double keeps fractions of 0.0002). */
const ROUNDING_MS = 1e-3;

/**
 * Decides which picture a consumer of at most `maxFps` gets, and when. Slots are one period apart; each takes one picture, and
 * a picture that comes while its slot is open passes at once. Only the newest one waits: live video that is shown late stays
 * late, since nothing behind it ever catches up (Pipecat draws all of a burst, and keeps the second it lost: D16), and a raw
 * picture is megabytes. So no picture waits longer than one period, whatever came before. Add all that has come, then ask: a
 * picture is not known to be the first of a burst. It has no timer: ask again after `waitMs`.
 */
export class PicturePace<Picture> {
  readonly #periodMs: number;
  #newest: { readonly picture: Picture } | undefined;
  #slotAt: number | undefined;
  #dropped = 0;

  constructor({ maxFps }: { readonly maxFps: number }) {
    if (!(maxFps > 0)) throw new RangeError(`maxFps is ${maxFps}: it must be more than 0.`);
    this.#periodMs = 1_000 / maxFps;
  }

  /** Pictures that a newer one replaced before their slot came. */
  get dropped(): number {
    return this.#dropped;
  }

  /** A picture came. One that still waits is too old now: it is answered, so that its maker can free it. */
  add(picture: Picture): Picture | undefined {
    const replaced = this.#newest?.picture;
    if (this.#newest) this.#dropped += 1;
    this.#newest = { picture };
    return replaced;
  }

  /** Forgets the one that waits, and answers it. */
  clear(): Picture | undefined {
    const waiting = this.#newest?.picture;
    this.#newest = undefined;
    return waiting;
  }

  /** The picture to hand on at `now`, ms of any one clock; undefined when none waits or its slot is still to come. */
  take(now: number): Picture | undefined {
    if (!this.#newest || this.waitMs(now) !== 0) return undefined;
    const { picture } = this.#newest;
    this.#newest = undefined;
    this.#slotAt = this.#slotAfter(now);
    return picture;
  }

  /** In how many ms `take` has a picture; undefined when none waits. */
  waitMs(now: number): number | undefined {
    if (!this.#newest) return undefined;
    const slotAt = this.#slotAt;
    if (slotAt === undefined || this.#isOff(slotAt, now)) return 0;
    const ms = slotAt - now;
    return ms > ROUNDING_MS ? ms : 0;
  }

  /** Slots that passed unused are gone: saved up, they would let a burst through. */
  #slotAfter(now: number): number {
    if (this.#slotAt === undefined || this.#isOff(this.#slotAt, now)) return now + this.#periodMs;
    const passed = Math.max(0, Math.floor((now - this.#slotAt + ROUNDING_MS) / this.#periodMs));
    return this.#slotAt + (passed + 1) * this.#periodMs;
  }

  /** After a stall, or when the clock was set back. */
  #isOff(slotAt: number, now: number): boolean {
    return Math.abs(now - slotAt) > OFF_PERIODS * this.#periodMs;
  }
}
