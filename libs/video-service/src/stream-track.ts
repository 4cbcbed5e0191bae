import { sleep, type Clock } from '@tavus-fleet/lifecycle';
import type { Room } from '@tavus-fleet/rooms';
import type { Position, Progress } from './frames.ts';
import { Playout } from './playout.ts';
import { msOf, OUT_RATE, type SpeechOut } from './speech-out.ts';

// The page's ring holds 10 s; half of it keeps the track fed over any pause of ours and little is thrown away by an interruption.
const FEED_AHEAD_SAMPLES = 5 * OUT_RATE;
// One frame may hold more than the page's ring takes at once: it is handed over in slices.
const SLICE_SAMPLES = OUT_RATE;
// Callers watch bufferedMs and stop long before; a caller that does not is refused here instead of filling our memory.
const QUEUE_MAX_SAMPLES = 30 * OUT_RATE;

/** From the page's ring to the ear of who is in the room: an encoder's frame and a jitter buffer (our choice; measured without it: 20 to 120 ms lost). */
const ARRIVE_MS = 80;

/** `position` comes with the last slice of its frame. */
type Waiting = { readonly pcm: Uint8Array; readonly position: Position | undefined };

/**
 * Stream mode: PCM into the custom track `stream`, which plays it in real time. What the page has not taken yet waits here;
 * live speech passes straight through, with no chunk to fill first. The page's report of consumed samples is the truth.
 */
export class StreamTrack implements SpeechOut {
  readonly #room: Room;
  readonly #clock: Clock;
  readonly #onPlayed: (position: Position | undefined, progress: Progress) => void;
  readonly #playout = new Playout();
  readonly #unsubscribe: () => void;
  readonly #drainWaiters = new Set<() => void>();
  #queue: Waiting[] = [];
  #queuedSamples = 0;
  /** Handed to the page and, as far as is known, not played: a pause takes it back. */
  #inPage: (Waiting & { readonly endSample: number })[] = [];
  #flushing = false;
  #paused = false;
  /** The room's count begins anew with each publishing of the track; ours goes on. */
  #publishedAt = 0;
  #closed = false;
  #lastSoundAt = 0;

  constructor(room: Room, clock: Clock, onPlayed: (position: Position | undefined, progress: Progress) => void) {
    this.#room = room;
    this.#clock = clock;
    this.#onPlayed = onPlayed;
    this.#unsubscribe = room.on((event) => {
      if (event.type === 'played' && !this.#flushing && !this.#paused) this.#advance(this.#publishedAt + event.samples);
    });
  }

  get bufferedMs(): number {
    return msOf(this.#playout.waiting + this.#queuedSamples);
  }

  get lastSoundAt(): number {
    return this.#lastSoundAt;
  }

  get playedSamples(): number {
    return this.#playout.played;
  }

  get acceptedSamples(): number {
    return this.#playout.written + this.#queuedSamples;
  }

  write(pcm: Uint8Array, position: Position | undefined): boolean {
    if (this.#closed) return false;
    const samples = pcm.byteLength / 2;
    // A single frame is taken whatever its length: refusing it would only drop what fits as soon as it is its turn.
    if (this.#queuedSamples > 0 && this.#queuedSamples + samples > QUEUE_MAX_SAMPLES) return false;
    this.#queue.push({ pcm, position });
    this.#queuedSamples += samples;
    this.#feed();
    return true;
  }

  endUtterance(position: Position | undefined): void {
    this.write(new Uint8Array(0), position);
  }

  async interrupt(signal: AbortSignal): Promise<{ droppedSamples: number; playedSamples: number }> {
    const queued = this.#queuedSamples;
    const lastQueued = this.#queue.findLast((waiting) => waiting.position !== undefined)?.position;
    this.#queue = [];
    this.#queuedSamples = 0;
    this.#inPage = [];
    // What waits during a pause was all taken back, and dropped just now.
    if (this.#paused) return this.#dropped(this.#playout.played, queued, lastQueued);
    this.#flushing = true;
    try {
      const flushed = await this.#room.flush(signal);
      const playedSamples = this.#publishedAt + flushed.playedSamples;
      if (playedSamples > this.#playout.played) this.#lastSoundAt = this.#clock.now();
      return this.#dropped(playedSamples, queued, lastQueued);
    } finally {
      this.#flushing = false;
      this.#feed();
      this.#settle();
    }
  }

  async pause(signal: AbortSignal): Promise<void> {
    this.#paused = true;
    const flushed = await this.#room.flush(signal);
    // Until what was played has arrived: with the track its receiver throws away what waits in its jitter buffer.
    const silentForMs = this.#clock.now() - this.#lastSoundAt;
    if (flushed.playedSamples + this.#publishedAt > this.#playout.played || silentForMs < ARRIVE_MS)
      await sleep(this.#clock, ARRIVE_MS, signal);
    await this.#room.unpublishStream(signal);
    const playedSamples = this.#publishedAt + flushed.playedSamples;
    if (playedSamples > this.#playout.played) this.#lastSoundAt = this.#clock.now();
    this.#tell(this.#playout.advance(playedSamples));
    this.#takeBack();
  }

  async resume(signal: AbortSignal): Promise<void> {
    if (!this.#paused) return;
    await this.#room.publishStream(signal);
    this.#publishedAt = this.#playout.played;
    this.#paused = false;
    this.#feed();
    this.#settle();
  }

  drained(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const done = (): void => {
        signal.removeEventListener('abort', stop);
        this.#drainWaiters.delete(done);
        resolve();
      };
      const stop = (): void => {
        this.#drainWaiters.delete(done);
        reject(signal.reason);
      };
      signal.addEventListener('abort', stop, { once: true });
      this.#drainWaiters.add(done);
      this.#settle();
    });
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#queuedSamples = 0;
    this.#inPage = [];
    this.#playout.drop(); // nobody will hear what the page still has
    this.#unsubscribe();
    for (const done of this.#drainWaiters) done();
  }

  #advance(samples: number): void {
    if (samples > this.#playout.played) this.#lastSoundAt = this.#clock.now();
    this.#tell(this.#playout.advance(samples));
    this.#forget();
    this.#feed();
    this.#settle();
  }

  #dropped(
    playedSamples: number,
    queued: number,
    lastQueued: Position | undefined,
  ): { droppedSamples: number; playedSamples: number } {
    const heard = this.#playout.advance(playedSamples);
    const dropped = this.#playout.drop();
    // What an interruption dropped is behind us too: a successor must not play it.
    const behind = lastQueued ?? dropped.position ?? heard;
    if (behind !== undefined && !this.#closed) this.#tell(behind);
    return { droppedSamples: dropped.samples + queued, playedSamples: this.#playout.played };
  }

  /** What the page has not played goes to the front of what waits, the rest of a slice included. */
  #takeBack(): void {
    this.#forget();
    const { played } = this.#playout;
    const back = this.#inPage.map(({ pcm, position, endSample }) => {
      const left = Math.min(pcm.byteLength / 2, endSample - played);
      return { pcm: pcm.subarray(pcm.byteLength - left * 2), position };
    });
    this.#inPage = [];
    this.#playout.rewind();
    this.#queue.unshift(...back);
    for (const { pcm } of back) this.#queuedSamples += pcm.byteLength / 2;
  }

  #forget(): void {
    const { played } = this.#playout;
    const first = this.#inPage.findIndex(({ endSample }) => endSample > played);
    this.#inPage.splice(0, first < 0 ? this.#inPage.length : first);
  }

  #tell(position: Position | undefined): void {
    this.#onPlayed(position, { samples: this.#playout.played, intoMs: msOf(this.#playout.into) });
  }

  /** Hands over what the page may take: it is never further ahead than FEED_AHEAD_SAMPLES plus one slice. */
  #feed(): void {
    while (!this.#flushing && !this.#paused && !this.#closed) {
      const next = this.#queue[0];
      if (!next) return;
      const rest = next.pcm.byteLength / 2;
      const samples = Math.min(rest, SLICE_SAMPLES);
      if (
        samples > 0 &&
        (this.#playout.waiting >= FEED_AHEAD_SAMPLES || !this.#room.write(next.pcm.subarray(0, samples * 2)))
      )
        return;
      this.#queuedSamples -= samples;
      if (samples < rest) {
        this.#queue[0] = { pcm: next.pcm.subarray(samples * 2), position: next.position };
        this.#playout.wrote(samples, undefined);
        this.#keep(next.pcm.subarray(0, samples * 2), undefined);
        continue;
      }
      this.#queue.shift();
      this.#playout.wrote(samples, next.position);
      this.#keep(next.pcm, next.position);
      // Nothing before it waits to be heard: a frame without sound counts as played at once.
      const played = samples === 0 ? this.#playout.advance(this.#playout.played) : undefined;
      if (played !== undefined) this.#tell(played);
    }
  }

  #keep(pcm: Uint8Array, position: Position | undefined): void {
    const endSample = this.#playout.written;
    if (endSample > this.#playout.played) this.#inPage.push({ pcm, position, endSample });
  }

  #settle(): void {
    if (this.#paused || this.#playout.waiting > 0 || this.#queue.length > 0 || this.#flushing) return;
    for (const done of this.#drainWaiters) done();
  }
}
