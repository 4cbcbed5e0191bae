/** What a user in a room gives: a voice that says what it is told, and a picture that moves. */

// Chromium's; not in TypeScript's DOM library.
declare const MediaStreamTrackGenerator: new <T>(init: {
  kind: 'audio' | 'video';
}) => MediaStreamTrack & { readonly writable: WritableStream<T> };

const RATE = 24_000;
const SIZE = { width: 320, height: 180 };
const FRAME_MS = 100;

const nowMs = (): number => performance.timeOrigin + performance.now();

export class Speaker {
  readonly #context: AudioContext;
  readonly #out: MediaStreamAudioDestinationNode;

  constructor() {
    // No audio device, as nobody listens at this end.
    const options: AudioContextOptions & { sinkId: { type: 'none' } } = { sampleRate: RATE, sinkId: { type: 'none' } };
    this.#context = new AudioContext(options);
    this.#out = new MediaStreamAudioDestinationNode(this.#context, { channelCount: 1, channelCountMode: 'explicit' });
    // A microphone is never without sound; without a source the track would send nothing at all.
    const silence = new ConstantSourceNode(this.#context, { offset: 0 });
    silence.connect(this.#out);
    silence.start();
  }

  get track(): MediaStreamTrack {
    const [track] = this.#out.stream.getAudioTracks();
    if (!track) throw new Error('The audio context gave no track.');
    return track;
  }

  /** Says s16le mono 24 kHz, from now on; answers when it began, ms since 1970. */
  say(base64: string): number {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const samples = new Int16Array(bytes.buffer);
    const buffer = this.#context.createBuffer(1, samples.length, RATE);
    buffer.copyToChannel(
      Float32Array.from(samples, (sample) => sample / 32_768),
      0,
    );
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#out);
    source.start();
    return nowMs();
  }
}

/** A track of pictures that change all the time. */
export function movingPicture(): MediaStreamTrack {
  const generator = new MediaStreamTrackGenerator<VideoFrame>({ kind: 'video' });
  const writer = generator.writable.getWriter();
  const canvas = new OffscreenCanvas(SIZE.width, SIZE.height);
  const context = canvas.getContext('2d');
  let count = 0;
  setInterval(() => {
    if (!context || (writer.desiredSize ?? 0) <= 0) return;
    context.fillStyle = `hsl(${(count * 20) % 360} 60% 50%)`;
    context.fillRect(0, 0, SIZE.width, SIZE.height);
    count += 1;
    void writer.write(new VideoFrame(canvas, { timestamp: performance.now() * 1_000 }));
  }, FRAME_MS);
  return generator;
}
