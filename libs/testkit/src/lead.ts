/** Louder than codec noise and the faint ringing after a sound: −50 dB of full scale. */
const SOUND_RMS = 100 / 32_768;
/** A track that brings nothing for so long is over, or its sender has stopped. */
const STALE_MS = 100;

/**
 * Several tracks heard as one: one of them leads, and what it brings is what is heard. Another takes the lead when it sounds and the leading
 * one does not, or brings nothing any more. Both at once is what a listener would notice as an echo; it is counted.
 * Rejected alternative: adding them up by arrival time, which puts every scheduling delay of this thread into the sound.
 */
export class Lead {
  #leader: number | undefined;
  #broughtAtMs = Number.NEGATIVE_INFINITY;
  #soundedAtMs = Number.NEGATIVE_INFINITY;
  /** For so long another track sounded while the leading one did, ms. */
  doubledMs = 0;

  /** Whether this block (samples −1…1) is what is heard. */
  hears(track: number, block: Float32Array, sampleRate: number, nowMs: number): boolean {
    const sounds = rms(block) >= SOUND_RMS;
    if (track !== this.#leader) {
      const leads = nowMs - this.#broughtAtMs > STALE_MS || (sounds && nowMs - this.#soundedAtMs > STALE_MS);
      if (!leads) {
        if (sounds) this.doubledMs += (block.length * 1_000) / sampleRate;
        return false;
      }
      this.#leader = track;
    }
    this.#broughtAtMs = nowMs;
    if (sounds) this.#soundedAtMs = nowMs;
    return true;
  }

  /** That track has ended. */
  ended(track: number): void {
    if (track !== this.#leader) return;
    this.#leader = undefined;
    this.#broughtAtMs = Number.NEGATIVE_INFINITY;
  }
}

function rms(samples: Float32Array): number {
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  return Math.sqrt(energy / Math.max(1, samples.length));
}
