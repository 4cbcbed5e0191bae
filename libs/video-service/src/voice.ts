import type { Clock } from '@tavus-fleet/lifecycle';
import { SpeakingEvents } from '@tavus-fleet/tavus';
import type { FrameSink } from './frames.ts';
import { Speaking } from './speaking.ts';
import { TtfbMeter } from './ttfb.ts';

export type VoiceOptions = {
  readonly sink: FrameSink;
  readonly clock: Clock;
  /** The settings' model, said with the metrics. */
  readonly model: () => string;
  /** Every hint, also one that changes nothing: whoever mutes stale sound weighs both sources. */
  readonly onHint: (source: 'tavus' | 'audio', speaking: boolean) => void;
};

/** The avatar's voice as it comes back: says once when it begins and ends, and how long it took to answer. */
export class Voice {
  readonly #options: VoiceOptions;
  readonly #speaking = new Speaking();
  readonly #tavusSays = new SpeakingEvents();
  readonly #ttfb = new TtfbMeter();

  constructor(options: VoiceOptions) {
    this.#options = options;
  }

  get speaking(): boolean {
    return this.#speaking.now;
  }

  /** An utterance begins on its way to the avatar. */
  utterance(): void {
    this.#ttfb.start(this.#options.clock.now());
  }

  interrupted(): void {
    this.#ttfb.cancel();
  }

  /** An app message of the Tavus room; most say nothing of who speaks. */
  message(data: unknown): void {
    const now = this.#options.clock.now();
    const said = this.#tavusSays.accept(data, now);
    if (said?.kind === 'replica-started') this.heard('tavus', true, now);
    else if (said?.kind === 'replica-stopped') this.heard('tavus', false, now);
  }

  heard(source: 'tavus' | 'audio', speaking: boolean, at: number): void {
    const { sink, model, onHint } = this.#options;
    onHint(source, speaking);
    const changed = this.#speaking.hint(source, speaking);
    if (changed) sink.push({ type: speaking ? 'bot-started-speaking' : 'bot-stopped-speaking', source });
    // Tavus says each utterance's start, also when the stop before it was lost on the way.
    const begins = speaking && (changed || source === 'tavus');
    const ttfbMs = begins ? this.#ttfb.heard(at) : undefined;
    if (ttfbMs !== undefined)
      sink.push({ type: 'metrics', data: { ttfbMs, processor: 'TavusVideoService', model: model() } });
  }

  /** The replica left: it is silent, whoever said that it spoke. */
  gone(): void {
    if (this.#speaking.gone()) this.#options.sink.push({ type: 'bot-stopped-speaking', source: 'audio' });
  }
}
