import type { Picture } from '@tavus-fleet/rooms';
import type { FrameSink } from './frames.ts';
import { OUT_RATE } from './speech-out.ts';

/**
 * The avatar's sound and pictures on their way to whoever takes frames: dropped until the transport behind us says that it is
 * ready, as Pipecat does, and handed on from then to the end. The word is taken at once and no interruption can lose it
 * (Pipecat's gate could stay shut for ever: D12).
 */
export class AvatarMedia {
  readonly #sink: FrameSink;
  #ready = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  transportReady(): void {
    this.#ready = true;
  }

  /** 20 ms of received sound, s16le mono 24 kHz. */
  heard(pcm: Uint8Array, pts: number): void {
    if (!this.#ready) return;
    this.#sink.push({ type: 'speech-output-audio', audio: pcm, rate: OUT_RATE, channels: 1, pts }, 'downstream');
  }

  seen({ data, ...picture }: Picture): void {
    if (!this.#ready) return;
    this.#sink.push({ type: 'output-image', image: data, ...picture }, 'downstream');
  }
}
