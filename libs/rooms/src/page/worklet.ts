import { maxWaitingSamples, playedReportMs, prebufferMs, sampleRate, silenceAfterMs } from '../limits.ts';
import { PcmRing } from '../pcm-ring.ts';
import type { FromRing, ToRing } from './ports.ts';

/** The sound of the track `stream`: plays the ring in real time, tells how far it is, drops everything on demand. */
class RingProcessor extends AudioWorkletProcessor {
  // A second of slack above what Node lets wait: its figure is one report old.
  readonly #ring = new PcmRing(maxWaitingSamples + sampleRate, (prebufferMs / 1_000) * sampleRate);
  readonly #silence = new Float32Array(128);
  #lastBeat = currentTime;
  #reportedAt = 0;
  #reported = 0;

  constructor() {
    super();
    this.port.addEventListener('message', (event: MessageEvent<ToRing>) => this.#receive(event.data));
    this.port.start();
  }

  override process(_inputs: Float32Array[][], [output]: Float32Array[][]): boolean {
    const channel = output?.[0];
    if (!channel) return true;
    // Silence unless our process was heard of lately, counted in audio time, so that it holds even when no other thread runs. Behind
    // this fence nothing is consumed: what waits is dropped or played by whoever owns the conversation then.
    if (currentTime - this.#lastBeat > silenceAfterMs / 1_000) channel.set(this.#silence.subarray(0, channel.length));
    else this.#ring.readInto(channel);
    const drained = this.#ring.waiting === 0 && this.#ring.consumed !== this.#reported;
    if (drained || (this.#ring.consumed !== this.#reported && currentTime - this.#reportedAt >= playedReportMs / 1_000))
      this.#report();
    return true;
  }

  #receive(message: ToRing): void {
    if (message.type === 'beat') {
      this.#lastBeat = currentTime;
      return;
    }
    if (message.type === 'pcm') return this.#ring.write(new Int16Array(message.pcm));
    if (message.type === 'reset') {
      this.#ring.reset();
      this.#reported = 0;
      return;
    }
    const consumed = this.#ring.flush();
    this.#reported = consumed;
    this.#post({ type: 'flushed', id: message.id, consumed });
  }

  #report(): void {
    this.#reported = this.#ring.consumed;
    this.#reportedAt = currentTime;
    this.#post({ type: 'played', consumed: this.#reported, waiting: this.#ring.waiting });
  }

  #post(message: FromRing): void {
    this.port.postMessage(message, []);
  }
}

registerProcessor('ring', RingProcessor);
