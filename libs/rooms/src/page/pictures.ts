import { PictureClock, type Delays } from '../picture-clock.ts';
import type { Picture, PictureOptions } from '../port.ts';
import { EncodedTee } from './encoded-tee.ts';
import { JpegPictures } from './jpeg-pictures.ts';

/** The watched participant's pictures on their way to our process, in the form that was asked for, or none. */
export class Pictures {
  /** False: our process did not take it. */
  readonly #onPicture: (picture: Picture) => boolean;
  readonly #clock = new PictureClock();
  readonly #tee: EncodedTee;
  #jpeg: JpegPictures | undefined;

  constructor(onPicture: (picture: Picture) => boolean) {
    this.#onPicture = onPicture;
    this.#tee = new EncodedTee({ clock: this.#clock, onPicture });
  }

  set delays(delays: Delays) {
    this.#clock.delays = delays;
  }

  asJpeg(readable: ReadableStream<VideoFrame>, options: Extract<PictureOptions, { format: 'jpeg' }>): void {
    this.stop();
    this.#jpeg = new JpegPictures(readable, options, { clock: this.#clock, onPicture: this.#onPicture });
  }

  asReceived(receiver: number, maxFps: number | undefined): void {
    this.#tee.choose(receiver, maxFps);
  }

  passes(receiver: number, transformer: RTCRtpScriptTransformer): void {
    this.#tee.add(receiver, transformer);
  }

  requestKeyFrame(): void {
    this.#tee.requestKeyFrame();
  }

  tick(): void {
    this.#tee.tick();
  }

  /** Copies nothing any more; what passes to the decoder goes on passing. */
  stop(): void {
    this.#jpeg?.stop();
    this.#jpeg = undefined;
    this.#tee.choose(undefined);
  }
}
