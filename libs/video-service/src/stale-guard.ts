import { sleep, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import type { Room } from '@tavus-fleet/rooms';

// After `conversation.interrupt` Tavus may still play what it had rendered. Longer than this nobody should wait in silence:
// if the replica did not fall silent by then it does not obey interrupts in this mode (not documented for the track `stream`).
const STALE_MS = 800;
// Tavus' word that the replica stopped overtakes its last sound, which still waits in the jitter buffer. With 150 ms stale sound
// was heard up to 380 ms after the interruption (measured); new speech is held meanwhile, so more costs only its first moment.
const TAIL_MS = 300;

/**
 * Keeps stale avatar audio from the user room after an interruption: muted at once, heard again when the replica has fallen
 * silent or after STALE_MS. Silent means: nothing is received and Tavus does not say that it speaks; or Tavus said that it
 * stopped, and nothing else for TAIL_MS (codec noise can pass for speech). New speech is held meanwhile, so that nothing of it is lost in the muted time.
 */
export class StaleGuard {
  readonly #room: Room;
  readonly #clock: Clock;
  #audio = false;
  #tavus: boolean | undefined;
  #tail: Timer | undefined;
  /** Interruptions under way: only the last of them lets the user room hear again. */
  #muted = 0;
  #wait: AbortController | undefined;

  constructor(room: Room, clock: Clock) {
    this.#room = room;
    this.#clock = clock;
  }

  get speaking(): boolean {
    return this.#audio || this.#tavus === true;
  }

  /** Told of every change in what is received, and of every word of Tavus. */
  heard(source: 'tavus' | 'audio', speaking: boolean): void {
    if (source === 'audio') this.#audio = speaking;
    else this.#tavus = speaking;
    if (!this.speaking) return this.#quiet();
    // What was on its way to the replica when it was told to stop comes after that: it stops, and speaks once more (observed).
    if (source === 'tavus' && speaking) this.#dropTail();
    if (source === 'tavus' && !speaking && this.#wait) this.#tail ??= this.#clock.after(TAIL_MS, () => this.#quiet());
  }

  /** The replica left. */
  gone(): void {
    this.#audio = false;
    this.#tavus = undefined;
    this.#quiet();
  }

  /** Each call is followed by one of `unmuteWhenQuiet`. */
  mute(): void {
    this.#muted += 1;
    if (this.speaking) this.#room.muteUserRoom(true);
  }

  /** Waits until what was muted is over, then lets the user room hear again unless a later interruption is under way. Rejects only when aborted. */
  async unmuteWhenQuiet(signal: AbortSignal): Promise<void> {
    const wait = new AbortController();
    this.#wait = wait;
    try {
      if (this.speaking) await sleep(this.#clock, STALE_MS, AbortSignal.any([signal, wait.signal]));
    } catch (error) {
      if (!wait.signal.aborted) throw error;
    } finally {
      this.#wait = undefined;
      this.#dropTail();
      this.#muted -= 1;
      // Aborted, the conversation is over or somebody else's: what is stale stays unheard until the rooms are left.
      if (this.#muted === 0 && !signal.aborted) this.#room.muteUserRoom(false);
    }
  }

  #dropTail(): void {
    this.#tail?.[Symbol.dispose]();
    this.#tail = undefined;
  }

  #quiet(): void {
    this.#wait?.abort();
  }
}
