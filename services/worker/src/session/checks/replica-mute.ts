import type { Clock, Timer } from '@tavus-fleet/lifecycle';
import type { RoomEvent } from '@tavus-fleet/rooms';
import type { Check, Tell, Trip } from './check.ts';

const LOOK_MS = 1_000;
/** Much longer than a replica's delay; speech that is unheard for this long is a broken call for whoever listens (our choice). */
const TOLD_MS = 5_000;
const LOST_MS = 20_000;

/**
 * The replica is given speech and nothing is heard of it. Counted in time that speech was played to it without a sound coming
 * back; a sound sets it to zero, silence between utterances counts for nothing. In burst a long utterance is played at once:
 * a look counts for no more than the time since the last one, so that this is no alarm.
 */
export class ReplicaMuteCheck implements Check {
  readonly #timer: Timer;
  #speaking = false;
  #unheardMs = 0;

  constructor(clock: Clock, playedMs: () => number, tell: Tell, trip: Trip) {
    let seen = playedMs();
    this.#timer = clock.every(LOOK_MS, () => {
      const played = playedMs();
      const before = this.#unheardMs;
      this.#unheardMs = this.#speaking ? 0 : before + Math.max(0, Math.min(LOOK_MS, played - seen));
      seen = played;
      if (before < TOLD_MS && this.#unheardMs >= TOLD_MS)
        tell('replica-mute', `Nothing is heard of the replica after ${TOLD_MS} ms of speech.`);
      if (this.#unheardMs >= LOST_MS) trip('replica-lost');
    });
  }

  handle(event: RoomEvent): void {
    if (event.type !== 'speech') return;
    this.#speaking = event.speaking;
    if (event.speaking) this.#unheardMs = 0;
  }

  close(): void {
    this.#timer[Symbol.dispose]();
  }
}
