import { sampleRate } from '../limits.ts';
import type { ToWorker } from './ports.ts';

type Audio = {
  readonly context: AudioContext;
  readonly gate: AudioWorkletNode;
  readonly streamTrack: MediaStreamTrack;
  readonly userAudioTrack: MediaStreamTrack;
};

/**
 * Every media connection of the page, and nothing else, so that another way (for example relaying encoded frames) can replace it.
 *
 *     PCM ─► ring ─────────────────────────► track `stream` ─► Tavus room
 *     replica audio ─► muted <audio>, then ─► worker: speech, peak, PCM
 *                                          └► gate ─► user room          replica video ─────────► user room
 */
export class MediaGraph {
  readonly #toWorker: (message: ToWorker, transfer?: Transferable[]) => void;
  #audio: Promise<Audio> | undefined;
  #heard: { readonly track: MediaStreamTrack; readonly element: HTMLAudioElement; readonly pcm: boolean } | undefined;
  #routed: { readonly track: MediaStreamTrack; readonly source: MediaStreamAudioSourceNode } | undefined;

  constructor(toWorker: (message: ToWorker, transfer?: Transferable[]) => void) {
    this.#toWorker = toWorker;
  }

  /** A fresh track with the ring's sound: whoever publishes it may stop it without silencing a later one. */
  async streamTrack(): Promise<MediaStreamTrack> {
    return (await this.#open()).streamTrack.clone();
  }

  /** What the user room hears. One stable track whatever the replica's does, so changes need no renegotiation. */
  async userAudioTrack(): Promise<MediaStreamTrack> {
    return (await this.#open()).userAudioTrack;
  }

  /** Plays a received track (muted) and lets the worker listen to it; undefined: to nothing. */
  async hear(track: MediaStreamTrack | undefined, pcm: boolean): Promise<void> {
    if (this.#heard?.track === track && (track === undefined || this.#heard?.pcm === pcm)) return;
    if (this.#heard) {
      this.#heard.element.srcObject = null;
      this.#toWorker({ type: 'stop-listening' });
    }
    this.#heard = undefined;
    if (!track) return;
    // Chromium delivers nothing of a remote track, not even to another connection, until an element plays it; muted is enough.
    const element = new Audio();
    element.muted = true;
    element.srcObject = new MediaStream([track]);
    this.#heard = { track, element, pcm };
    await element.play();
    if (this.#heard.track !== track) return; // replaced while starting
    const { readable } = new MediaStreamTrackProcessor<AudioData>({ track, maxBufferSize: 50 });
    this.#toWorker({ type: 'listen', readable, pcm }, [readable]);
  }

  /** Sends a received track through the gate into the user room; undefined: silence. It must also be heard. */
  async route(track: MediaStreamTrack | undefined): Promise<void> {
    if (this.#routed?.track === track) return;
    const { context, gate } = await this.#open();
    this.#routed?.source.disconnect();
    this.#routed = undefined;
    if (!track) return;
    const source = context.createMediaStreamSource(new MediaStream([track]));
    source.connect(gate);
    this.#routed = { track, source };
  }

  async close(): Promise<void> {
    await this.hear(undefined, false);
    this.#routed?.source.disconnect();
    const audio = await this.#audio;
    if (audio && audio.context.state !== 'closed') await audio.context.close();
  }

  #open(): Promise<Audio> {
    this.#audio ??= this.#build();
    return this.#audio;
  }

  async #build(): Promise<Audio> {
    // No audio device: saves the audio service's process. 24 kHz is the rate of what the replica is sent, so of all it can say; nothing is lost by routing its voice through here.
    const options: AudioContextOptions & { sinkId: { type: 'none' } } = { sampleRate, sinkId: { type: 'none' } };
    const context = new AudioContext(options);
    await context.audioWorklet.addModule('/worklet.js');
    const mono = {
      numberOfOutputs: 1,
      outputChannelCount: [1],
      channelCount: 1,
      channelCountMode: 'explicit' as const,
    };
    const ring = new AudioWorkletNode(context, 'ring', { ...mono, numberOfInputs: 0 });
    const gate = new AudioWorkletNode(context, 'gate', { ...mono, numberOfInputs: 1 });
    const destination = { channelCount: 1, channelCountMode: 'explicit' as const };
    const stream = new MediaStreamAudioDestinationNode(context, destination);
    const user = new MediaStreamAudioDestinationNode(context, destination);
    ring.connect(stream);
    gate.connect(user);
    this.#toWorker({ type: 'audio-ports', ring: ring.port, gate: gate.port }, [ring.port, gate.port]);
    const [streamTrack] = stream.stream.getAudioTracks();
    const [userAudioTrack] = user.stream.getAudioTracks();
    if (!streamTrack || !userAudioTrack) throw new Error('The audio context gave no track.');
    return { context, gate, streamTrack, userAudioTrack };
  }
}
