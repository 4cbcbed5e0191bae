import { ArrivalClock } from './arrival-clock.ts';

const TICKS_PER_MS = 90; // RTP's clock for every picture codec
const WRAP_MS = 2 ** 32 / TICKS_PER_MS;
const LEAST_STEP_MS = 1;

/** How long received media waits before it is presented, ms: sound in its jitter buffer, pictures in theirs and in the decoder. */
export type Delays = { readonly audioMs: number; readonly videoMs: number };

/**
 * Sound is that much older than a picture when both arrive: it is collected for a packet (20 ms), and its coder looks ahead (Opus,
 * 6.5 ms). Measured without this on a quiet machine: pictures 30 to 35 ms ahead of their sound.
 */
const SOUND_OLDER_MS = 26;
/** Until it is measured: what a jitter buffer of sound began with on a quiet machine (observed: 50 to 90 ms). */
const FIRST: Delays = { audioMs: 60, videoMs: 15 };

/**
 * Presentation times of pictures on the clock of the sound. Sound is timed when it leaves its jitter buffer, whose delay grows
 * and shrinks; a picture is timed as if it had waited as long. Both came the same way, so what was sent together gets the same
 * time, but for what its coder keeps. (Not taken: the sender's own clock by RTCP, which Chromium tells only where sound and picture are one stream.)
 */
export class PictureClock {
  #arrivals = new ArrivalClock(WRAP_MS);
  #source: number | undefined;
  #delays = FIRST;
  #last = Number.NEGATIVE_INFINITY;

  set delays(delays: Delays) {
    this.#delays = delays;
  }

  /** Of an encoded picture that arrived whole at `nowMs`. Another `source` (SSRC) counts by a clock of its own. */
  received(rtpTimestamp: number, nowMs: number, source?: number): number {
    return this.#presented(this.#arrival(rtpTimestamp, nowMs, source));
  }

  /** Of a picture that was handed out decoded at `nowMs`; without a stamp its own time must do. */
  decoded(rtpTimestamp: number | undefined, nowMs: number): number {
    const arrivedAt = nowMs - this.#delays.videoMs;
    return this.#presented(rtpTimestamp === undefined ? arrivedAt : this.#arrival(rtpTimestamp, arrivedAt));
  }

  #arrival(rtpTimestamp: number, nowMs: number, source?: number): number {
    if (source !== this.#source) this.#arrivals = new ArrivalClock(WRAP_MS);
    this.#source = source;
    return this.#arrivals.at(rtpTimestamp / TICKS_PER_MS, nowMs);
  }

  /** Never back: the sound's delay may shrink by more than a picture lasts. */
  #presented(arrivedAt: number): number {
    this.#last = Math.max(arrivedAt + this.#delays.audioMs + SOUND_OLDER_MS, this.#last + LEAST_STEP_MS);
    return this.#last;
  }
}
