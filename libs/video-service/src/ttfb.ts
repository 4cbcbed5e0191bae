/**
 * Time to first byte as Pipecat means it: from tts-started to the avatar being heard. Restarts with every tts-started;
 * an interruption abandons it silently (Pipecat D22 reported a false value there). Utterances that begin while the avatar still
 * speaks measure from their own start only when it fell silent in between: otherwise there is no first sound to wait for.
 */
export class TtfbMeter {
  #startedAt: number | undefined;

  start(at: number): void {
    this.#startedAt = at;
  }

  cancel(): void {
    this.#startedAt = undefined;
  }

  /** The avatar was heard. Answers ms, or undefined when nothing was being measured or the sound is older than the start. */
  heard(at: number): number | undefined {
    const startedAt = this.#startedAt;
    if (startedAt === undefined || at < startedAt) return undefined;
    this.#startedAt = undefined;
    return at - startedAt;
  }
}
