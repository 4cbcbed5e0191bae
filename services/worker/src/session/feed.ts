import type { MalformedFrame } from '@tavus-fleet/contracts';
import { Latch, orAborted, retry, withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import type { FrameIn, TavusVideoService } from '@tavus-fleet/video-service';
import type { SessionFrames } from './deps.ts';
import { FramesIn, type DroppedWhy, type Entry } from './frames-in.ts';
import { isLate, Skip, wasOpen, type Place } from './resume.ts';
import { Tail } from './tail.ts';

type Service = Pick<TavusVideoService, 'bufferedMs' | 'processFrame' | 'continueUtterance'>;

export type FeedOptions = {
  readonly frames: SessionFrames;
  readonly clock: Clock;
  readonly from: Place;
  /** Somebody played from here before: nothing is fed until what has happened meanwhile is known. */
  readonly succeeds: boolean;
  /** Aborts when nothing accepted has to be played any more. */
  readonly cut: AbortSignal;
  /** Entries have come; they were added to the stream at the time in the first one's id. */
  readonly onEntries: (first: Entry) => void;
  /** The first sound that is more than silence goes to the service; it will be played in `inMs`. */
  readonly onSpeech: (inMs: number) => void;
  readonly onEnd: (verb: 'stop' | 'cancel') => void;
  readonly onDropped: (count: number, ms: number, why: DroppedWhy) => void;
  readonly onMalformed: (what: MalformedFrame) => void;
};

/** Redis may be away just now; without the tail nothing is fed, and while Redis is away nothing comes. */
const CATCH_UP_MS = 30_000;
const COUNT_MS = 2_000;

/**
 * One conversation's frames stream into its video service, from where the last owner stood. Reads from the beginning of a session;
 * gives nothing on before it is opened, and a successor's not before it was read to the tail: an interruption, a cancel that
 * stands there makes that what is before it is never heard.
 */
export class Feed {
  readonly #options: FeedOptions;
  readonly #framesIn: FramesIn;
  readonly #skip: Skip;
  readonly #tail: Tail;
  readonly #catchUp: Tail;
  readonly #caughtUp = new Latch<void>();
  /** An interruption that nobody has told the replica of. */
  #interruption: FrameIn | undefined;
  #hasSpoken = false;
  /** Id of the last entry that was read. */
  #seen: string;
  #service: Service | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
    const { frames, clock, from, cut } = options;
    this.#seen = from.position;
    this.#tail = new Tail(clock, from.position);
    this.#catchUp = new Tail(clock, from.position, CATCH_UP_MS);
    this.#skip = new Skip(from.positionMs);
    this.#framesIn = new FramesIn(
      {
        bufferedMs: () => this.#service?.bufferedMs ?? Number.POSITIVE_INFINITY,
        frame: (frame) => {
          const rest = this.#skip.take(frame);
          if (!this.#service && frame.type === 'interruption') this.#interruption = frame;
          else if (rest) this.#give(rest);
        },
        end: options.onEnd,
        dropped: options.onDropped,
        malformed: options.onMalformed,
      },
      { read: (ids) => retry(ALWAYS, { signal: cut, clock }, () => frames.read(ids)) },
    );
  }

  /** Nothing that was read waits for its turn. */
  get isEmpty(): boolean {
    return this.#framesIn.next === undefined;
  }

  get framesIn(): number {
    return this.#framesIn.framesIn;
  }

  /** Begins to read. */
  start(): void {
    const { frames, clock, from, succeeds, cut } = this.#options;
    this.#unsubscribe = frames.subscribe(from.position, (entries) => this.#entries(entries));
    if (!succeeds) return void this.#caughtUp.set();
    const newest = (): Promise<string> => retry(ALWAYS, { signal: cut, clock }, () => frames.newest());
    this.#catchUp.reached(newest, () => this.#caughtUp.set());
  }

  /**
   * Resolves when everything was read that was there when reading began: whether an utterance is open in which the last owner stood,
   * so that what follows is the rest of it. Rejects only when aborted.
   */
  async caughtUp(signal: AbortSignal): Promise<boolean> {
    const { from, succeeds, frames, clock } = this.#options;
    await orAborted(this.#caughtUp.promise, signal);
    if (!succeeds) return false;
    const [last] = await retry(ALWAYS, { signal, clock }, () => frames.read([from.position]));
    return wasOpen(from, last);
  }

  /** From now on the service gets what waits and what comes. `isOpen`: see `caughtUp`; `nowMs`: Redis' clock. */
  open(service: Service, isOpen: boolean, nowMs: number): void {
    const { from, succeeds } = this.#options;
    const { next } = this.#framesIn;
    if (isOpen && !this.#interruption) {
      // Also an utterance whose rest is skipped is closed, here and at Tavus, when its end comes.
      service.continueUtterance(from.inferenceId);
      if (next !== undefined && isLate(from, next, nowMs)) this.#framesIn.skipUtterance();
    }
    this.#service = service;
    // A first owner's replica has said nothing yet; a predecessor's may still be speaking.
    if (succeeds && this.#interruption) service.processFrame(this.#interruption);
    this.#framesIn.pump();
  }

  /** The service has played something. */
  pump(): void {
    this.#framesIn.pump();
  }

  /** Ends in order behind what has been read, although no `end` entry came. */
  endAtTail(): void {
    this.#framesIn.endAtTail(undefined);
  }

  /** The same behind everything that Redis has taken by now. */
  endAfterTail(): void {
    this.#tail.reached(
      () => this.#options.frames.newest(),
      () => this.endAtTail(),
    );
  }

  /** Nobody will play what waits: counted as far as it can be read in COUNT_MS. Never rejects: the end does not wait for a figure. */
  async dropRest(why: DroppedWhy): Promise<void> {
    await withDeadline(
      { ms: COUNT_MS, what: 'Reading what waits', clock: this.#options.clock },
      () => this.#caughtUp.promise,
    ).catch(() => undefined);
    this.#framesIn.dropWaiting(why);
  }

  /** Reads nothing until `resume`, which goes on where this stopped. */
  pause(): void {
    this.stop();
  }

  resume(): void {
    if (this.#unsubscribe) return;
    this.#unsubscribe = this.#options.frames.subscribe(this.#seen, (entries) => this.#entries(entries));
  }

  /** Reads no more. */
  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  /** May be called twice. */
  close(): void {
    this.stop();
    this.#tail.close();
    this.#catchUp.close();
  }

  #give(frame: FrameIn): void {
    if (!this.#hasSpoken && frame.type === 'tts-audio' && isSpeech(frame.audio)) {
      this.#hasSpoken = true;
      this.#options.onSpeech(this.#service?.bufferedMs ?? 0);
    }
    this.#service?.processFrame(frame);
  }

  #entries(entries: readonly Entry[]): void {
    const [first] = entries;
    if (first && this.#service) this.#options.onEntries(first);
    this.#framesIn.entries(entries);
    const last = entries.at(-1);
    if (!last) return;
    this.#seen = last.id;
    this.#tail.saw(last.id);
    this.#catchUp.saw(last.id);
  }
}

/** What is asked of Redis while it is silent is asked again until it answers or the session ends. */
const ALWAYS = { attempts: Number.POSITIVE_INFINITY, firstMs: 200, maxMs: 1_000, when: () => true };

/** −46 dBFS, as the page judges what it receives: below it nobody would answer. */
const SPEECH = 164;

function isSpeech(pcm: Uint8Array): boolean {
  const view = new DataView(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  for (let at = 0; at + 1 < pcm.byteLength; at += 2) if (Math.abs(view.getInt16(at, true)) > SPEECH) return true;
  return false;
}
