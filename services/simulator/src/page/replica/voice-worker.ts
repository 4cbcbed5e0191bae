/**
 * The replica's ear and mouth in a thread of its own: what is heard goes through `Voice` into the microphone's track. What
 * is heard sets the pace, frame by frame, so nothing is lost or repeated between two clocks; without it the wall clock does.
 */
import { Mixer } from '../../replica/voice/mixer.ts';
import { Pace } from '../../replica/voice/pace.ts';
import { Resampler } from '../../replica/voice/resampler.ts';
import { Voice } from '../../replica/voice/voice.ts';
import type { ToVoice, ToVoiceWorker } from './messages.ts';
import { RATE } from './rate.ts';

const STEP = RATE / 100;
const STEP_MS = 10;
const MOST_QUEUED = 50;

type WorkerScope = {
  addEventListener(type: 'message', listener: (event: MessageEvent<ToVoiceWorker>) => void): void;
};
// The DOM library types the global as a window; here it is a dedicated worker's.
const scope = globalThis as unknown as WorkerScope;

let mouth: Mouth | null = null;
scope.addEventListener('message', ({ data }) => {
  if (data.type === 'start') mouth ??= new Mouth(data);
  else if (data.type === 'hear') void mouth?.hear(data.id, data.readable);
  else mouth?.connect(data.ids);
});

class Mouth {
  readonly #voice: Voice;
  readonly #writer: WritableStreamDefaultWriter<AudioData>;
  readonly #mixer = new Mixer();
  readonly #pace = new Pace(STEP_MS, performance.now());
  #writtenSteps = 0;

  constructor({ options, port, microphone }: Extract<ToVoiceWorker, { type: 'start' }>) {
    this.#voice = new Voice(options, (report) => port.postMessage(report));
    this.#writer = microphone.getWriter();
    port.addEventListener('message', (message: MessageEvent<ToVoice>) => this.#obey(message.data));
    port.start();
    setInterval(() => this.#speak(this.#pace.due(performance.now())), STEP_MS);
  }

  /** Reads one track until it ends; what it brings counts while it is connected. */
  async hear(id: string, readable: ReadableStream<AudioData>): Promise<void> {
    const reader = readable.getReader();
    let converter: { readonly from: number; readonly to: Resampler } | undefined;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const data = next.value;
      const frame = new Float32Array(data.numberOfFrames);
      data.copyTo(frame, { planeIndex: 0, format: 'f32-planar' });
      if (converter?.from !== data.sampleRate)
        converter = { from: data.sampleRate, to: new Resampler(data.sampleRate, RATE) };
      data.close();
      this.#mixer.push(id, converter.to.push(frame, false));
      const steps = Math.floor(this.#mixer.ready / STEP);
      if (steps === 0) continue;
      const late = this.#pace.led(performance.now(), steps);
      this.#mixer.take(late * STEP);
      this.#speak(steps - late);
    }
    this.#mixer.remove(id);
  }

  /** A track that was taken away is not waited for: a hole in what is sent makes everybody's jitter buffers longer. */
  connect(ids: readonly string[]): void {
    this.#mixer.choose(ids);
    this.#pace.change(ids.length > 0);
  }

  #speak(steps: number): void {
    for (let step = 0; step < steps; step += 1) {
      const played = new Float32Array(STEP);
      this.#voice.process(this.#mixer.take(STEP), played);
      this.#writtenSteps += 1;
      // The connection takes what it can; half a second behind is a connection that does not send at all.
      if ((this.#writer.desiredSize ?? 0) < -MOST_QUEUED) continue;
      const data = new AudioData({
        format: 'f32-planar',
        sampleRate: RATE,
        numberOfFrames: STEP,
        numberOfChannels: 1,
        timestamp: this.#writtenSteps * STEP_MS * 1000,
        data: played,
      });
      this.#writer.write(data).catch((error: unknown) => console.warn('microphone', String(error)));
    }
  }

  #obey(order: ToVoice): void {
    if (order.type === 'echo') this.#voice.pushEcho(order.inferenceId, order.samples, order.isDone);
    else if (order.type === 'interrupt') this.#voice.interrupt();
    else this.#voice.muted = order.on;
  }
}
