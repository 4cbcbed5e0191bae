import { sampleRate } from '../limits.ts';
import type { ToWorker } from './ports.ts';

type Audio = {
  readonly context: AudioContext;
  readonly streamTrack: MediaStreamTrack;
};

/**
 * Every media connection of the page, and nothing else, so that another way (for example relaying encoded frames) can replace it.
 *
 *     PCM ─► ring ─────────────────────────► track `stream` ─► Tavus room
 *     replica audio ─► muted <audio>, then ─► worker: speech, peak, PCM, and through its gate ─► user room
 *     replica video ─────────────────────────► user room
 */
export class MediaGraph {
  readonly #toWorker: (message: ToWorker, transfer?: Transferable[]) => void;
  #audio: Promise<Audio> | undefined;
  #heard: { readonly track: MediaStreamTrack; readonly element: HTMLAudioElement; readonly pcm: boolean } | undefined;
  #userAudio: MediaStreamTrackGenerator<AudioData> | undefined;

  constructor(toWorker: (message: ToWorker, transfer?: Transferable[]) => void) {
    this.#toWorker = toWorker;
  }

  /** Builds what `streamTrack` needs, so that it is there at once when it is asked for. */
  async prepareStream(): Promise<void> {
    await this.#open();
  }

  /** A fresh track with the ring's sound: whoever publishes it may stop it without silencing a later one. */
  async streamTrack(): Promise<MediaStreamTrack> {
    return (await this.#open()).streamTrack.clone();
  }

  /** What the user room hears: all that is heard, through the worker's gate. One stable track whatever the replica's does, so changes need no renegotiation. */
  userAudioTrack(): MediaStreamTrack {
    if (this.#userAudio) return this.#userAudio;
    this.#userAudio = new MediaStreamTrackGenerator<AudioData>({ kind: 'audio' });
    const { writable } = this.#userAudio;
    this.#toWorker({ type: 'user-audio', writable }, [writable]);
    return this.#userAudio;
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

  async close(): Promise<void> {
    await this.hear(undefined, false);
    this.#userAudio?.stop();
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
    const destination = { channelCount: 1, channelCountMode: 'explicit' as const };
    const stream = new MediaStreamAudioDestinationNode(context, destination);
    ring.connect(stream);
    this.#toWorker({ type: 'ring', ring: ring.port }, [ring.port]);
    const [streamTrack] = stream.stream.getAudioTracks();
    if (!streamTrack) throw new Error('The audio context gave no track.');
    return { context, streamTrack };
  }
}
