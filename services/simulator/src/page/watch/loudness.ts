const ON_RMS = 0.01;
const HANGOVER_MS = 300;
const EVERY_MS = 50;

/** Says when the tracks it watches can be heard to speak. */
export class Loudness {
  readonly #onChange: (speaking: boolean) => void;
  readonly #context = new AudioContext();
  readonly #analyser = this.#context.createAnalyser();
  readonly #samples = new Float32Array(this.#analyser.fftSize);
  #sources = new Map<MediaStreamTrack, MediaStreamAudioSourceNode>();
  #lastLoudAt = -Infinity;
  #isSpeaking = false;

  constructor(onChange: (speaking: boolean) => void) {
    this.#onChange = onChange;
    setInterval(() => this.#look(), EVERY_MS);
  }

  watch(tracks: readonly MediaStreamTrack[]): void {
    for (const [track, source] of this.#sources) {
      if (tracks.includes(track)) continue;
      source.disconnect();
      this.#sources.delete(track);
    }
    for (const track of tracks) {
      if (this.#sources.has(track)) continue;
      const source = this.#context.createMediaStreamSource(new MediaStream([track]));
      source.connect(this.#analyser);
      this.#sources.set(track, source);
    }
  }

  /** Rejects when the browser wants a gesture first. */
  async resume(): Promise<void> {
    // Without a gesture resume() neither resolves nor rejects, so the state is what counts.
    await Promise.race([this.#context.resume(), new Promise((resolve) => setTimeout(resolve, 200))]);
    if (this.#context.state !== 'running') throw new Error('sound is not allowed yet');
  }

  #look(): void {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const rms = Math.sqrt(this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length);
    if (rms > ON_RMS) this.#lastLoudAt = performance.now();
    const isSpeaking = performance.now() - this.#lastLoudAt < HANGOVER_MS;
    if (isSpeaking !== this.#isSpeaking) this.#onChange(isSpeaking);
    this.#isSpeaking = isSpeaking;
  }
}
