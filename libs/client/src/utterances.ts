import { FleetError, type InboundFrame } from '@tavus-fleet/contracts';
import { orAborted } from '@tavus-fleet/lifecycle';
import { Pieces, pcmMs, type PcmFormat } from './pcm.ts';
import type { FrameSender } from './transport.ts';

/** Speech as interleaved s16le PCM: all at once, or in portions of any size as they are made. */
export type Pcm = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export type SayOptions = {
  /** Samples a second: 8000 to 48000 Hz. */
  readonly rate: number;
  /** Interleaved; default 1. */
  readonly channels?: 1 | 2;
  /** Names the utterance in events; default: a name of its own. 1 to 128 characters. */
  readonly context?: string;
  /** Stops sending; what was accepted is still heard (`interrupt()` silences it). The promise rejects with its reason. */
  readonly signal?: AbortSignal;
};

/** An utterance of which everything was accepted, or that was cut by an interruption. */
export type Said = {
  readonly context: string;
  /** Accepted sound, ms. */
  readonly sentMs: number;
  /** An interruption came before all was accepted. */
  readonly interrupted: boolean;
  /** Resolves when the avatar has played it, it was interrupted, or the conversation is over. Never rejects. */
  readonly played: Promise<void>;
};

/** Pieces on their way at once: enough to fill a slow line, few enough that an interruption is soon through. */
const ON_THE_WAY = 16;
/** Why an utterance was cut; never seen outside. */
const INTERRUPTED = new Error('Interrupted.');

/**
 * Utterances of one conversation, one after the other in the order of the calls, and interruptions, which overtake. It takes from a
 * source only what may be sent: the speech that is ahead of what is heard stays within `aheadMs`.
 */
export class Utterances {
  readonly #sender: () => Promise<FrameSender>;
  readonly #aheadMs: number;
  readonly #open = new Set<AbortController>();
  #turn: Promise<void> = Promise.resolve();

  constructor(sender: () => Promise<FrameSender>, aheadMs: number) {
    this.#sender = sender;
    this.#aheadMs = aheadMs;
  }

  async say(speech: Pcm, options: SayOptions): Promise<Said> {
    const { rate, channels = 1, context = crypto.randomUUID(), signal } = options;
    const cut = new AbortController();
    const stop = signal ? AbortSignal.any([cut.signal, signal]) : cut.signal;
    this.#open.add(cut);
    const before = this.#turn;
    const own = Promise.withResolvers<void>();
    this.#turn = own.promise;
    try {
      await orAborted(before, stop);
      return await new Utterance(await this.#sender(), context, { rate, channels }, this.#aheadMs).send(speech, stop);
    } catch (error) {
      if (error !== INTERRUPTED) throw error;
      return { context, sentMs: 0, interrupted: true, played: Promise.resolve() };
    } finally {
      this.#open.delete(cut);
      void before.then(own.resolve);
    }
  }

  /** Ends every utterance that was begun or waits, and silences the avatar. Resolves when the interruption is in the stream. */
  async interrupt(reason: string | undefined): Promise<void> {
    for (const cut of this.#open) cut.abort(INTERRUPTED);
    const sender = await this.#sender();
    await sender.append({ type: 'interruption', ...(reason === undefined ? {} : { reason }) });
  }

  /** Resolves when everything that was said so far is accepted. */
  get settled(): Promise<void> {
    return this.#turn;
  }
}

class Utterance {
  readonly #sender: FrameSender;
  readonly #context: string;
  readonly #format: PcmFormat;
  readonly #aheadMs: number;
  readonly #underWay = new Set<Promise<void>>();
  readonly #failed = new AbortController();
  #sentMs = 0;

  constructor(sender: FrameSender, context: string, format: PcmFormat, aheadMs: number) {
    this.#sender = sender;
    this.#context = context;
    this.#format = format;
    this.#aheadMs = aheadMs;
  }

  async send(speech: Pcm, until: AbortSignal): Promise<Said> {
    const stop = AbortSignal.any([until, this.#failed.signal]);
    await this.#sender.append({ type: 'tts-started', context: this.#context }, stop);
    let interrupted = false;
    try {
      await this.#sendAll(speech, stop);
    } catch (error) {
      interrupted = error === INTERRUPTED;
      if (!interrupted) {
        await this.#close().catch(() => undefined); // the first error is the one to tell
        throw error;
      }
    }
    if (!interrupted) await this.#close();
    return {
      context: this.#context,
      sentMs: this.#sentMs,
      interrupted,
      played: interrupted ? Promise.resolve() : this.#played(),
    };
  }

  async #sendAll(speech: Pcm, stop: AbortSignal): Promise<void> {
    const pieces = new Pieces(this.#format);
    for await (const portion of portionsOf(speech, stop)) {
      for (const audio of pieces.of(portion)) {
        await this.#room(stop);
        this.#put({ type: 'tts-audio', ...this.#format, audio }, stop);
      }
    }
    while (this.#underWay.size > 0) await orAborted(Promise.race(this.#underWay), stop);
    stop.throwIfAborted();
  }

  /** Until a further piece may go: few are on their way, and what waits to be heard is not too much. */
  async #room(stop: AbortSignal): Promise<void> {
    for (;;) {
      stop.throwIfAborted();
      if (this.#underWay.size >= ON_THE_WAY) await orAborted(Promise.race(this.#underWay), stop);
      else if (this.#waitingMs() < this.#aheadMs) return;
      else await orAborted(changeOf(this.#sender), stop);
    }
  }

  #put(frame: Extract<InboundFrame, { type: 'tts-audio' }>, stop: AbortSignal): void {
    const ms = pcmMs(frame.audio.byteLength, this.#format);
    const sending: Promise<void> = this.#sender
      .append(frame, stop)
      .then(
        () => void (this.#sentMs += ms),
        (error: unknown) => this.#failed.abort(error),
      )
      .finally(() => this.#underWay.delete(sending));
    this.#underWay.add(sending);
  }

  #close(): Promise<void> {
    return this.#sender.append({ type: 'tts-stopped', context: this.#context });
  }

  #waitingMs(): number {
    const { acceptedMs, heardMs } = this.#sender.progress;
    return acceptedMs - heardMs;
  }

  async #played(): Promise<void> {
    const goal = this.#sender.progress.acceptedMs;
    while (this.#sender.progress.heardMs < goal - 0.5) await changeOf(this.#sender);
  }
}

/** The portions of a source; it is told to stop (`return`) when we do, but not waited for: it may be waiting itself, for a voice that never comes. */
async function* portionsOf(given: Pcm, stop: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
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

function changeOf(sender: FrameSender): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const off = sender.onProgress(() => {
    off();
    resolve();
  });
  return promise;
}
