import { FleetError, type InboundFrame } from '@tavus-fleet/contracts';
import { orAborted, systemClock } from '@tavus-fleet/lifecycle';
import { Pieces, pcmMs, type PcmFormat } from './pcm.ts';
import type { FrameSender } from './transport.ts';

type Portions = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
/**
 * Speech as interleaved s16le PCM: all at once, in portions of any size as they are made, or a function that begins to make them. Its
 * signal aborts when nobody wants the rest: an interruption, the caller's own signal, the end of the conversation.
 */
export type Pcm = Uint8Array | Portions | ((signal: AbortSignal) => Portions);

/** How an utterance went for the ears: `whole`, or how much of it was heard until an interruption or the end, ms (known to about half a second). */
export type Played = { readonly whole: boolean; readonly playedMs: number };

/** An utterance of which everything was accepted, or that an interruption cut. */
export type Said = {
  readonly context: string;
  /** Accepted sound, ms. */
  readonly sentMs: number;
  /** An interruption came before all was accepted. */
  readonly interrupted: boolean;
  /** Resolves when the avatar has played it, it was interrupted, or the conversation is over. Never rejects. */
  readonly played: Promise<Played>;
};

/** Pieces on their way at once: enough to fill a slow line, few enough that an interruption is soon through. */
const ON_THE_WAY = 16;
/** Why an utterance was cut; never seen outside. */
export const INTERRUPTED = new Error('Interrupted.');
/** An interrupted utterance waits so long for the fleet to say how much of it was heard. */
const TELL_MS = 2_000;

/** One utterance on its way: tts-started, pieces of sound no faster than they may wait, tts-stopped; and what became of it. */
export class Utterance {
  readonly context: string;
  readonly #format: PcmFormat;
  readonly #aheadMs: number;
  readonly #cut = new AbortController();
  readonly #played = Promise.withResolvers<Played>();
  readonly #underWay = new Set<Promise<void>>();
  /** Aborts when nothing more of it is to be sent. */
  readonly stop: AbortSignal;
  #sender: FrameSender | undefined;
  /** Of the sender's count: where this utterance begins, and where it ends so far. */
  #startMs = 0;
  #endMs = 0;
  #sentBytes = 0;
  /** Heard when it was cut; what the sender counts as heard afterwards was dropped. */
  #cutAtMs: number | undefined;

  constructor(context: string, format: PcmFormat, aheadMs: number, signal: AbortSignal | undefined) {
    this.context = context;
    this.#format = format;
    this.#aheadMs = aheadMs;
    this.stop = signal ? AbortSignal.any([this.#cut.signal, signal]) : this.#cut.signal;
  }

  get sentMs(): number {
    return pcmMs(this.#sentBytes, this.#format);
  }

  /** Whether its beginning is in the stream. */
  get begun(): boolean {
    return this.#sender !== undefined;
  }

  get interrupted(): boolean {
    return this.#cut.signal.reason === INTERRUPTED;
  }

  get played(): Promise<Played> {
    return this.#played.promise;
  }

  /** Cuts it. How much of it was heard is told later, by `settle`. */
  interrupt(): void {
    if (this.interrupted) return;
    this.#cutAtMs = this.#heardMs();
    this.#cut.abort(INTERRUPTED);
    if (!this.begun) return this.settle(false);
    const timer = systemClock.after(TELL_MS, () => this.settle(false));
    void this.#played.promise.then(() => timer[Symbol.dispose]());
  }

  settle(whole: boolean, playedMs: number = this.#cutAtMs ?? this.#heardMs()): void {
    this.#played.resolve({ whole, playedMs: whole ? this.sentMs : Math.min(playedMs, this.sentMs) });
  }

  /** Resolves when all of it is accepted. Throws INTERRUPTED, or what stopped it; the utterance is closed in the stream then. */
  async send(sender: FrameSender, speech: Pcm): Promise<void> {
    await sender.append({ type: 'tts-started', context: this.context }, this.stop);
    this.#sender = sender;
    this.#startMs = this.#endMs = sender.progress.acceptedMs;
    try {
      await this.#sendAll(sender, speech);
    } catch (error) {
      this.#cut.abort(error);
      if (error !== INTERRUPTED) await this.#close(sender).catch(() => undefined); // the first error is the one to tell
      throw error;
    }
    await this.#close(sender);
    void this.#watch(sender);
  }

  async #sendAll(sender: FrameSender, speech: Pcm): Promise<void> {
    const pieces = new Pieces(this.#format);
    for await (const portion of portionsOf(speech, this.stop)) {
      for (const audio of pieces.of(portion)) {
        await this.#room(sender);
        this.#put(sender, { type: 'tts-audio', ...this.#format, audio });
      }
    }
    while (this.#underWay.size > 0) await orAborted(Promise.race(this.#underWay), this.stop);
    this.stop.throwIfAborted();
  }

  /** Until a further piece may go: few are on their way, and what waits to be heard is not too much. */
  async #room(sender: FrameSender): Promise<void> {
    for (;;) {
      this.stop.throwIfAborted();
      const { acceptedMs, heardMs } = sender.progress;
      if (this.#underWay.size >= ON_THE_WAY) await orAborted(Promise.race(this.#underWay), this.stop);
      else if (acceptedMs - heardMs < this.#aheadMs || sender.over) return; // the next piece says that it is over
      else await changeOf(sender, this.stop);
    }
  }

  #put(sender: FrameSender, frame: Extract<InboundFrame, { type: 'tts-audio' }>): void {
    const sending: Promise<void> = this.#append(sender, frame).finally(() => this.#underWay.delete(sending));
    this.#underWay.add(sending);
  }

  /** Never rejects: what keeps a piece out cuts the utterance. */
  async #append(sender: FrameSender, frame: Extract<InboundFrame, { type: 'tts-audio' }>): Promise<void> {
    try {
      await sender.append(frame, this.stop);
      this.#sentBytes += frame.audio.byteLength;
      this.#endMs = sender.progress.acceptedMs;
    } catch (error) {
      this.#cut.abort(error);
    }
  }

  #close(sender: FrameSender): Promise<void> {
    return sender.append({ type: 'tts-stopped', context: this.context });
  }

  /** Until all of it was heard, or `settle` said otherwise. */
  async #watch(sender: FrameSender): Promise<void> {
    const over = new AbortController();
    void this.#played.promise.then(() => over.abort());
    while (!over.signal.aborted && sender.progress.heardMs < this.#endMs - 0.5)
      await changeOf(sender, over.signal).catch(() => undefined); // settled: the loop's condition sees it
    if (!this.interrupted) this.settle(true);
  }

  #heardMs(): number {
    if (!this.#sender) return 0;
    return Math.max(0, Math.min(this.#sender.progress.heardMs, this.#endMs) - this.#startMs);
  }
}

/**
 * The portions of a source. It is told to stop (`return`) when we do, but not waited for: it may itself be waiting, for a voice that
 * never comes.
 */
async function* portionsOf(pcm: Pcm, stop: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
  const given = typeof pcm === 'function' ? pcm(stop) : pcm;
  const speech = given instanceof Uint8Array ? [given] : given;
  const source: AsyncIterator<Uint8Array> | Iterator<Uint8Array> =
    Symbol.asyncIterator in speech ? speech[Symbol.asyncIterator]() : speech[Symbol.iterator]();
  let done = false;
  try {
    for (;;) {
      const next = await orAborted(Promise.resolve(source.next()), stop);
      if (next.done) {
        done = true;
        return;
      }
      if (!(next.value instanceof Uint8Array))
        throw new FleetError('invalid-request', 'Speech must come as Uint8Array (s16le PCM).', { field: 'pcm' });
      yield next.value;
    }
  } finally {
    if (!done) void Promise.resolve(source.return?.()).catch(() => undefined); // it was told; how it takes it is its own
  }
}

/** The next change of the sender's progress. Throws the signal's reason. */
async function changeOf(sender: FrameSender, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const off = sender.onProgress(resolve);
  try {
    await orAborted(promise, signal);
  } finally {
    off();
  }
}
