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
  /** Default: both on. Initial only: one TTFB, the first (Pipecat's report_only_initial_ttfb). */
  readonly metrics?: { readonly enabled?: boolean; readonly onlyInitialTtfb?: boolean };
  /** Every hint, also one that changes nothing: whoever mutes stale sound weighs both sources. */
  readonly onHint: (source: 'tavus' | 'audio', speaking: boolean) => void;
};

/** The avatar's voice as it comes back: says once when it begins and ends, and how long it took to answer. */
export class Voice {
  readonly #options: VoiceOptions;
  readonly #speaking = new Speaking();
  readonly #tavusSays = new SpeakingEvents();
  readonly #ttfb = new TtfbMeter();
  #ttfbSaid = false;

  constructor(options: VoiceOptions) {
    this.#options = options;
  }

  get speaking(): boolean {
    return this.#speaking.now;
  }

  /** An utterance begins on its way to the avatar. */
  utterance(): void {
    if (this.#options.metrics?.onlyInitialTtfb && this.#ttfbSaid) return;
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
    const { sink, onHint } = this.#options;
    onHint(source, speaking);
    const changed = this.#speaking.hint(source, speaking);
    if (changed) sink.push({ type: speaking ? 'bot-started-speaking' : 'bot-stopped-speaking', source });
    // Tavus says each utterance's start, also when the stop before it was lost on the way.
    const begins = speaking && (changed || source === 'tavus');
    if (begins) this.#first(at);
  }

  /** The transport behind us says that the voice is being played, or no more. Whoever is further up wants to know too. */
  transportSays(speaking: boolean): void {
    this.#options.sink.push(
      { type: speaking ? 'bot-started-speaking' : 'bot-stopped-speaking', source: 'transport' },
      'upstream',
    );
    if (speaking) this.#first(this.#options.clock.now());
  }

  /** The replica left: it is silent, whoever said that it spoke. */
  gone(): void {
    if (this.#speaking.gone()) this.#options.sink.push({ type: 'bot-stopped-speaking', source: 'audio' });
  }

  /** The first sound of an utterance, if one is being waited for. */
  #first(at: number): void {
    const ttfbMs = this.#ttfb.heard(at);
    if (ttfbMs === undefined) return;
    this.#ttfbSaid = true;
    const { sink, model, metrics } = this.#options;
    if (metrics?.enabled === false) return;
    sink.push({ type: 'metrics', data: { ttfbMs, processor: 'TavusVideoService', model: model() } });
  }
}
