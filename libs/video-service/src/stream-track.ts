import type { Clock } from '@tavus-fleet/lifecycle';
import type { Room } from '@tavus-fleet/rooms';
import type { Position } from './frames.ts';
import { Playout } from './playout.ts';
import { msOf, OUT_RATE, type SpeechOut } from './speech-out.ts';

// The page's ring holds 10 s; half of it keeps the track fed over any pause of ours and little is thrown away by an interruption.
const FEED_AHEAD_SAMPLES = 5 * OUT_RATE;
// Callers watch bufferedMs and stop long before; a caller that does not is refused here instead of filling our memory.
const QUEUE_MAX_SAMPLES = 30 * OUT_RATE;

type Waiting = { pcm: Uint8Array; position: Position | undefined };

/**
 * Stream mode: PCM into the custom track `stream`, which plays it in real time. What the page has not taken yet waits here;
 * live speech passes straight through, with no chunk to fill first. The page's report of consumed samples is the truth.
 */
export class StreamTrack implements SpeechOut {
  readonly #room: Room;
  readonly #clock: Clock;
  readonly #onPlayed: (position: Position, samples: number) => void;
  readonly #playout = new Playout();
  readonly #unsubscribe: () => void;
  #queue: Waiting[] = [];
  #queuedSamples = 0;
  #flushing = false;
  #closed = false;
  #lastSoundAt = 0;
  #drainWaiters: (() => void)[] = [];

  constructor(room: Room, clock: Clock, onPlayed: (position: Position, samples: number) => void) {
    this.#room = room;
    this.#clock = clock;
    this.#onPlayed = onPlayed;
    this.#unsubscribe = room.on((event) => {
      if (event.type === 'played' && !this.#flushing) this.#advance(event.samples);
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

  write(pcm: Uint8Array, position: Position | undefined): boolean {
    if (this.#closed) return false;
    if (this.#queue.length === 0 && this.#give(pcm, position)) return true;
    if (this.#queuedSamples + pcm.byteLength / 2 > QUEUE_MAX_SAMPLES) return false;
    this.#queue.push({ pcm, position });
    this.#queuedSamples += pcm.byteLength / 2;
    return true;
  }

  endUtterance(position: Position | undefined): void {
    this.write(new Uint8Array(0), position);
  }

  async interrupt(signal: AbortSignal): Promise<{ droppedSamples: number; playedSamples: number }> {
    const queued = this.#queuedSamples;
    this.#queue = [];
    this.#queuedSamples = 0;
    this.#flushing = true;
    try {
      const { playedSamples } = await this.#room.flush(signal);
      if (playedSamples > this.#playout.played) this.#lastSoundAt = this.#clock.now();
      this.#playout.advance(playedSamples);
      const dropped = this.#playout.drop();
      // What an interruption dropped is behind us too: a successor must not play it.
      if (dropped.position !== undefined) this.#onPlayed(dropped.position, this.#playout.played);
      return { droppedSamples: dropped.samples + queued, playedSamples: this.#playout.played };
    } finally {
      this.#flushing = false;
      this.#feed();
      this.#settle();
    }
  }

  drained(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.#drainWaiters.push(resolve);
      this.#settle();
    });
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#queuedSamples = 0;
    this.#unsubscribe();
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }

  #advance(samples: number): void {
    if (samples > this.#playout.played) this.#lastSoundAt = this.#clock.now();
    const position = this.#playout.advance(samples);
    if (position !== undefined) this.#onPlayed(position, this.#playout.played);
    this.#feed();
    this.#settle();
  }

  #feed(): void {
    while (this.#queue[0] && this.#give(this.#queue[0].pcm, this.#queue[0].position)) {
      this.#queuedSamples -= this.#queue[0].pcm.byteLength / 2;
      this.#queue.shift();
    }
  }

  #give(pcm: Uint8Array, position: Position | undefined): boolean {
    if (this.#flushing || this.#closed) return false;
    if (pcm.byteLength === 0) {
      this.#playout.wrote(0, position);
      const played = this.#playout.advance(this.#playout.played);
      if (played !== undefined) this.#onPlayed(played, this.#playout.played);
      return true;
    }
    if (this.#playout.waiting >= FEED_AHEAD_SAMPLES || !this.#room.write(pcm)) return false;
    this.#playout.wrote(pcm.byteLength / 2, position);
    return true;
  }

  #settle(): void {
    if (this.#playout.waiting > 0 || this.#queue.length > 0 || this.#flushing) return;
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }
}

