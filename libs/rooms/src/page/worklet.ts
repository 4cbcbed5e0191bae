import { maxWaitingSamples, playedReportMs, prebufferMs, sampleRate, silenceAfterMs } from '../limits.ts';
import { PcmRing } from '../pcm-ring.ts';
import type { FromRing, ToGate, ToRing } from './ports.ts';

const rampPerSample = 1 / 240; // 10 ms at 24 kHz: opening and closing without a click

/** Silence unless our process was heard of lately. Counted in audio time, so it holds even when no other thread runs. */
class Fence {
  #lastBeat = currentTime;

  beat(): void {
    this.#lastBeat = currentTime;
  }

  get holds(): boolean {
    return currentTime - this.#lastBeat > silenceAfterMs / 1_000;
  }
}

/** The sound of the track `stream`: plays the ring in real time, tells how far it is, drops everything on demand. */
class RingProcessor extends AudioWorkletProcessor {
  // A second of slack above what Node lets wait: its figure is one report old.
  readonly #ring = new PcmRing(maxWaitingSamples + sampleRate, (prebufferMs / 1_000) * sampleRate);
  readonly #fence = new Fence();
  readonly #silence = new Float32Array(128);
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
    // Behind the fence nothing is consumed: what waits is dropped or played by whoever owns the conversation then.
    if (this.#fence.holds) channel.set(this.#silence.subarray(0, channel.length));
    else this.#ring.readInto(channel);
    const drained = this.#ring.waiting === 0 && this.#ring.consumed !== this.#reported;
    if (drained || (this.#ring.consumed !== this.#reported && currentTime - this.#reportedAt >= playedReportMs / 1_000))
      this.#report();
    return true;
  }

  #receive(message: ToRing): void {
    if (message.type === 'beat') return this.#fence.beat();
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

/** What the user room hears passes here, or does not. On the audio thread, so that muting needs neither a renegotiation nor a responsive main thread. */
class GateProcessor extends AudioWorkletProcessor {
  readonly #fence = new Fence();
  #open = true;
  #gain = 1;

  constructor() {
    super();
    this.port.addEventListener('message', (event: MessageEvent<ToGate>) => {
      if (event.data.type === 'beat') this.#fence.beat();
      else this.#open = event.data.on;
    });
    this.port.start();
  }

  override process([input]: Float32Array[][], [output]: Float32Array[][]): boolean {
    const from = input?.[0];
    const to = output?.[0];
    if (!to) return true;
    const target = this.#open && !this.#fence.holds ? 1 : 0;
    for (let index = 0; index < to.length; index += 1) {
      this.#gain =
        target > this.#gain
          ? Math.min(target, this.#gain + rampPerSample)
          : Math.max(target, this.#gain - rampPerSample);
      to[index] = (from?.[index] ?? 0) * this.#gain;
    }
    return true;
  }
}

registerProcessor('ring', RingProcessor);
registerProcessor('gate', GateProcessor);
