import { withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import type { Room } from '@tavus-fleet/rooms';

// After `conversation.interrupt` Tavus may still play what it had rendered. Longer than this nobody should wait in silence:
// if the replica did not fall silent by then it does not obey interrupts in this mode (not documented for the track `stream`).
const STALE_MS = 500;

/**
 * Keeps stale avatar audio from the user room after an interruption: muted at once, heard again when the replica has fallen
 * silent (its own event, or received audio) or after STALE_MS. New speech is held meanwhile by the service, so that nothing
 * of it can be lost in the muted time.
 */
export class StaleGuard {
  readonly #room: Room;
  readonly #clock: Clock;
  #speaking = false;
  #quiet: (() => void) | undefined;

  constructor(room: Room, clock: Clock) {
    this.#room = room;
    this.#clock = clock;
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  /** Told of every change in what is received. */
  heard(speaking: boolean): void {
    this.#speaking = speaking;
    if (!speaking) this.#quiet?.();
  }

  mute(): void {
    if (this.#speaking) this.#room.muteUserRoom(true);
  }

  /** Waits until what was muted is over, then lets the user room hear again. */
  async unmuteWhenQuiet(signal: AbortSignal): Promise<void> {
    try {
      if (!this.#speaking) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#quiet = resolve;
      await withDeadline({ signal, ms: STALE_MS, what: 'The replica falling silent', clock: this.#clock }, () => promise).catch(() => undefined); // the deadline is the normal other way out
    } finally {
      this.#quiet = undefined;
      this.#room.muteUserRoom(false);
    }
  }
}
