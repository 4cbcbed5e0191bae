/**
 * The replica's own thread: draws, obeys interactions, tells about speaking, and sends what is heard to Node. The window
 * only holds what a worker may not have: the call and the audio graph.
 */
import { interactionOf } from '../../replica/interactions.ts';
import { SpeakingEvents } from '../../replica/speaking-events.ts';
import { Resampler } from '../../replica/voice/resampler.ts';
import { RATE } from './rate.ts';
import type { FromVoice, FromWorker, ToVoice, ToWorker } from './messages.ts';
import { Studio } from './studio.ts';

type WorkerScope = {
  addEventListener(type: 'message', listener: (event: MessageEvent<ToWorker>) => void): void;
  postMessage(message: FromWorker, transfer: Transferable[]): void;
};
// The DOM library types the global as a window; here it is a dedicated worker's.
const scope = globalThis as unknown as WorkerScope;

let brain: Brain | null = null;
scope.addEventListener('message', ({ data }) => {
  if (data.type === 'start') brain ??= new Brain(data);
  else if (data.type === 'app-message') brain?.hear(data.data);
  else brain?.stop();
});

class Brain {
  readonly #voice: MessagePort;
  readonly #studio: Studio | null;
  readonly #events: SpeakingEvents;
  readonly #socket: WebSocket;
  readonly #hearsEcho: boolean;
  /** One converter per utterance; only the newest is kept, since a new one closes the one before. */
  #resampler: { readonly id: string; readonly rate: number; readonly converter: Resampler } | null = null;

  constructor({ options, voice, video, socketUrl }: Extract<ToWorker, { type: 'start' }>) {
    this.#voice = voice;
    this.#studio = video ? new Studio({ ...options, video }) : null;
    this.#events = new SpeakingEvents(options.conversationId, () => crypto.randomUUID());
    this.#hearsEcho = options.hearing === 'echo';
    this.#socket = new WebSocket(socketUrl);
    this.#socket.addEventListener('open', () => this.#socket.send(options.channelToken));
    this.#socket.addEventListener('message', ({ data }: MessageEvent<string>) => {
      // Written by our own Node side (`Control`).
      const { type, on } = JSON.parse(data) as { type: 'freeze' | 'mute'; on: boolean };
      if (type === 'mute') this.#tell({ type: 'mute', on });
      else if (this.#studio) this.#studio.frozen = on;
    });
    voice.addEventListener('message', ({ data }: MessageEvent<FromVoice>) => this.#report(data));
    voice.start();
  }

  hear(data: unknown): void {
    const interaction = interactionOf(data);
    if (!interaction) return;
    if (interaction.kind === 'interrupt') return this.#tell({ type: 'interrupt' });
    if (!this.#hearsEcho) return;
    const { base64, sampleRate, inferenceId, isDone } = interaction;
    const pcm = decodePcm(base64);
    if (!pcm) return;
    if (this.#resampler?.id !== inferenceId || this.#resampler.rate !== sampleRate)
      this.#resampler = { id: inferenceId, rate: sampleRate, converter: new Resampler(sampleRate, RATE) };
    const samples = new Float32Array(this.#resampler.converter.push(pcm, isDone));
    this.#tell({ type: 'echo', inferenceId, samples, isDone }, [samples.buffer]);
  }

  stop(): void {
    this.#studio?.stop();
    this.#socket.close(1000);
    scope.postMessage({ type: 'stopped' }, []);
  }

  #report(report: FromVoice): void {
    switch (report.kind) {
      case 'level':
        return this.#studio?.level(report.rms);
      case 'heard':
        if (this.#socket.readyState !== WebSocket.OPEN) return;
        return this.#socket.send(
          typeof report.samples === 'number' ? JSON.stringify({ silence: report.samples }) : report.samples,
        );
      case 'started':
      case 'stopped':
        for (const data of this.#events.messages(report, Date.now())) scope.postMessage({ type: 'send', data }, []);
    }
  }

  #tell(order: ToVoice, transfer: Transferable[] = []): void {
    this.#voice.postMessage(order, transfer);
  }
}

/** base64 of s16le → samples −1…1; null when it is neither. */
function decodePcm(base64: string): Float32Array | null {
  let bytes: Uint8Array;
  try {
    const text = atob(base64);
    bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  } catch {
    return null; // not base64: a bad interaction is ignored
  }
  const view = new DataView(bytes.buffer);
  const samples = new Float32Array(bytes.length >> 1);
  for (let i = 0; i < samples.length; i += 1) samples[i] = view.getInt16(2 * i, true) / 32_768;
  return samples;
}
