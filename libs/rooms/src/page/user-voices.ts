import { Listener } from './listener.ts';

type Sinks = {
  readonly onPcm: (participantId: string, pcm: Int16Array<ArrayBuffer>, pts: number) => void;
  readonly onSpeech: (participantId: string, speaking: boolean, at: number) => void;
};

/** Hears several users at once, each by a listener of its own. */
export class UserVoices {
  readonly #sinks: Sinks;
  readonly #listeners = new Map<string, Listener>();

  constructor(sinks: Sinks) {
    this.#sinks = sinks;
  }

  /** A later track of the same participant replaces the one before. */
  listen(participantId: string, readable: ReadableStream<AudioData>): void {
    this.stop(participantId);
    const { onPcm, onSpeech } = this.#sinks;
    const listener = new Listener(readable, {
      onPcm: (pcm, pts) => onPcm(participantId, pcm, pts),
      onSpeech: (speaking, at) => onSpeech(participantId, speaking, at),
    });
    this.#listeners.set(participantId, listener);
  }

  stop(participantId: string): void {
    this.#listeners.get(participantId)?.stop();
    this.#listeners.delete(participantId);
  }

  tick(): void {
    for (const listener of this.#listeners.values()) listener.tick();
  }

  close(): void {
    for (const participantId of this.#listeners.keys()) this.stop(participantId);
  }
}
