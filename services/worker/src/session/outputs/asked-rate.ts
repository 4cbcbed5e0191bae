import { bytesOf, Chunker, chunkBytes, createResampler, samplesOf, type StreamResampler } from '@tavus-fleet/audio';
import { streamSampleRate } from '@tavus-fleet/rooms';

/** 20 ms of sound and when it began, ms. */
export type TimedPcm = { readonly pcm: Uint8Array; readonly pts: number };

const BLOCK_MS = 20;
/** Further from where the sound before it ended, a block is another sound: nothing of one is heard in the other. */
const APART_MS = 60;

/** One source's sound at the rate that was asked for, in blocks of 20 ms again. At the rooms' own rate every block passes as it is. */
export class AskedRate {
  readonly #rate: number;
  readonly #resampler: StreamResampler;
  readonly #chunker: Chunker;
  /** Of the present sound: when it began, how long what came and what went lasts, ms. */
  #beganAt = 0;
  #inMs = 0;
  #outMs = 0;

  /** `rate`: Hz. */
  constructor(rate: number) {
    this.#rate = rate;
    this.#resampler = createResampler(streamSampleRate, rate);
    this.#chunker = new Chunker(chunkBytes(rate, BLOCK_MS));
  }

  /** The blocks that are complete with this one, at most a block later than they came. */
  push({ pcm, pts }: TimedPcm): TimedPcm[] {
    if (this.#rate === streamSampleRate) return [{ pcm, pts }];
    const apart = pts - (this.#beganAt + this.#inMs);
    const ended = Math.abs(apart) > APART_MS ? this.#end() : [];
    if (this.#inMs === 0) this.#beganAt = pts;
    // The source's clock is followed: only the drift since the last block, so spacing stays even.
    else this.#beganAt += apart;
    this.#inMs += msOf(pcm, streamSampleRate);
    return [...ended, ...this.#blocks(this.#resampler.process(samplesOf(pcm)))];
  }

  /** The rest of the present sound, filled up with silence. */
  #end(): TimedPcm[] {
    const blocks = this.#inMs === 0 ? [] : this.#blocks(this.#resampler.flush());
    const last = this.#chunker.end();
    if (last) blocks.push({ pcm: last, pts: this.#beganAt + this.#outMs });
    this.#inMs = 0;
    this.#outMs = 0;
    return blocks;
  }

  #blocks(samples: Int16Array): TimedPcm[] {
    return this.#chunker.push(bytesOf(samples)).map((pcm) => {
      const pts = this.#beganAt + this.#outMs;
      this.#outMs += msOf(pcm, this.#rate);
      return { pcm, pts };
    });
  }
}

const msOf = (pcm: Uint8Array, rate: number): number => (pcm.byteLength * 1_000) / (2 * rate);
