const ON_RMS = 0.008;
const OFF_RMS = 0.004;
/** Silence that ends speech: longer than the pauses inside a sentence, short enough for a turn's end to be felt. Our choice. */
const HANGOVER_SECONDS = 0.3;

/** Says when sound becomes speech and when it ends, from the energy of short windows. */
export class SpeechDetector {
  isSpeaking = false;
  #spokenSeconds = 0;
  #silentSeconds = 0;

  /** One window. Answers `started`, or how long the speech lasted when it just `stopped`. */
  window(rms: number, seconds: number): { kind: 'started' } | { kind: 'stopped'; seconds: number } | null {
    if (!this.isSpeaking) {
      if (rms < ON_RMS) return null;
      this.isSpeaking = true;
      this.#spokenSeconds = seconds;
      this.#silentSeconds = 0;
      return { kind: 'started' };
    }
    this.#spokenSeconds += seconds;
    this.#silentSeconds = rms < OFF_RMS ? this.#silentSeconds + seconds : 0;
    return this.#silentSeconds >= HANGOVER_SECONDS ? this.stop() : null;
  }

  /** Ends the speech now; its duration leaves out the silence that has already passed. */
  stop(): { kind: 'stopped'; seconds: number } {
    this.isSpeaking = false;
    return { kind: 'stopped', seconds: Math.max(0, this.#spokenSeconds - this.#silentSeconds) };
  }
}
