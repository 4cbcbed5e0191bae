/** The audio thread's shell around `Voice`: one input (what is heard), one output (what is played), and a port to the worker. */
import { Voice, type VoiceOptions } from '../../replica/voice/voice.ts';
import type { ToVoice } from './messages.ts';

// Globals of the audio thread, unknown to TypeScript's DOM library.
declare function registerProcessor(name: string, processor: unknown): void;
declare const AudioWorkletProcessor: new () => { readonly port: MessagePort };

const QUANTUM = 128;

class VoiceProcessor extends AudioWorkletProcessor {
  #voice: Voice;
  #reports: MessagePort | null = null;
  #heard = new Float32Array(QUANTUM);

  constructor(options: { processorOptions: VoiceOptions }) {
    super();
    this.#voice = new Voice(options.processorOptions, (report) => this.#reports?.postMessage(report));
    this.port.addEventListener('message', (event: MessageEvent<MessagePort>) => {
      this.#reports = event.data;
      event.data.addEventListener('message', (message: MessageEvent<ToVoice>) => this.#obey(message.data));
      event.data.start();
    });
    this.port.start();
  }

  process([input]: Float32Array[][], [output]: Float32Array[][]): boolean {
    const played = output?.[0];
    if (!played) return true;
    if (this.#heard.length !== played.length) this.#heard = new Float32Array(played.length);
    this.#heard.fill(0);
    const heard = input?.[0];
    if (heard) this.#heard.set(heard);
    this.#voice.process(this.#heard, played);
    return true;
  }

  #obey(order: ToVoice): void {
    if (order.type === 'echo') this.#voice.pushEcho(order.inferenceId, order.samples, order.isDone);
    else if (order.type === 'interrupt') this.#voice.interrupt();
    else this.#voice.muted = order.on;
  }
}

registerProcessor('voice', VoiceProcessor);
