import type { PictureOptions } from '../port.ts';
import { eachVideoReceiver, receiverOf } from './connections.ts';
import type { TeeOptions, ToWorker } from './ports.ts';

/**
 * Leads the watched participant's pictures to the worker: the decoded track, or the receiver's encoded frames on their way to
 * the decoder. The latter needs a transform on every receiver of pictures, set when its track appears, long before it is
 * known whose it is; so it must be asked for before anything is subscribed to.
 */
export class PictureTap {
  readonly #worker: Worker;
  readonly #receivers = new WeakMap<RTCRtpReceiver, number>();
  #count = 0;
  #tapped: { readonly track: MediaStreamTrack; readonly done: boolean } | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** From now on receivers can be listened in on. May be called again. */
  prepare(): void {
    eachVideoReceiver((receiver) => {
      if (this.#receivers.has(receiver)) return; // the same receiver with a new sender: its transform stays
      this.#count += 1;
      this.#receivers.set(receiver, this.#count);
      receiver.transform = new RTCRtpScriptTransform(this.#worker, { receiver: this.#count } satisfies TeeOptions);
    });
  }

  /** Brings the worker to this track; undefined: to none. To be called again while the track's receiver is not known yet. */
  tap(track: MediaStreamTrack | undefined, options: PictureOptions | undefined): void {
    const wanted = options && track;
    if (this.#tapped?.track === wanted && (this.#tapped?.done ?? true)) return;
    if (this.#tapped && this.#tapped.track !== wanted) this.#post({ type: 'stop-pictures' });
    this.#tapped = wanted && { track: wanted, done: this.#lead(wanted, options) };
  }

  #lead(track: MediaStreamTrack, options: PictureOptions): boolean {
    if (options.format === 'jpeg') {
      // The newest only: a picture that waited while another was looked at is of no use.
      const { readable } = new MediaStreamTrackProcessor<VideoFrame>({ track, maxBufferSize: 1 });
      this.#post({ type: 'picture-track', readable, options }, [readable]);
      return true;
    }
    const receiver = receiverOf(track);
    const number = receiver && this.#receivers.get(receiver);
    if (number === undefined) return false;
    const { maxFps } = options;
    this.#post({ type: 'picture-receiver', receiver: number, ...(maxFps === undefined ? {} : { maxFps }) });
    return true;
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}
