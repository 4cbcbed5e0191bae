import { UtteranceNormalizer } from '@tavus-fleet/audio';
import { asFleetError } from '@tavus-fleet/contracts';
import { orAborted, withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import type { Room } from '@tavus-fleet/rooms';
import type { FrameIn, FrameSink, Position } from './frames.ts';
import { msOf, OUT_RATE, type SpeechOut } from './speech-out.ts';
import { StaleGuard } from './stale-guard.ts';

const INTERRUPT_DEADLINE_MS = 2_000;
/** Held while an interruption is under way; that takes at most a few hundred ms, so more than this is a producer running wild. */
const HOLD_MAX_FRAMES = 2_000;

type SpeechFrame = Extract<FrameIn, { type: 'tts-started' | 'tts-audio' | 'tts-stopped' }>;
/** `mark`: a frame without sound; only its position matters, and that it keeps its place. */
type Held = SpeechFrame | { readonly type: 'mark'; readonly position?: Position };

/**
 * One conversation's speech on its way out: utterances, normalised to one format, handed to the mode's SpeechOut; and
 * interruptions. Order of an interruption: user side silent first, then our queues, then the replica, and only then new
 * speech (Pipecat let new audio precede the interrupt, or lost it during the round trip: D15).
 */
export class Speech {
  readonly #out: SpeechOut;
  readonly #sink: FrameSink;
  readonly #guard: StaleGuard;
  readonly #clock: Clock;
  readonly #tellReplica: (signal: AbortSignal) => Promise<void>;
  readonly #normalizer = new UtteranceNormalizer(OUT_RATE);
  #open = false;
  #context: string | undefined;
  #utteranceStart = 0;
  #utteranceWritten = 0;
  #held: Held[] | undefined;
  #interrupting: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    out: SpeechOut,
    sink: FrameSink,
    room: Room,
    clock: Clock,
    tellReplica: (signal: AbortSignal) => Promise<void>,
  ) {
    this.#out = out;
    this.#sink = sink;
    this.#clock = clock;
    this.#guard = new StaleGuard(room, clock);
    this.#tellReplica = tellReplica;
  }

  get bufferedMs(): number {
    return this.#out.bufferedMs + (this.#held ? 1_000 : 0);
  }

  /** When the replica got its last sample, ms since 1970; 0 = never any. */
  get lastSoundAt(): number {
    return this.#out.lastSoundAt;
  }

  /** Received audio or Tavus' events say that the avatar speaks or not. */
  heard(source: 'tavus' | 'audio', speaking: boolean): void {
    this.#guard.heard(source, speaking);
  }

  /** The replica left: what was said of its speaking holds no more. */
  replicaGone(): void {
    this.#guard.gone();
  }

  process(frame: Held): void {
    if (this.#closed) return;
    if (this.#held) {
      if (this.#held.length >= HOLD_MAX_FRAMES) this.#drop(1, 0, 'overflow');
      else this.#held.push(frame);
    } else {
      this.#now(frame);
    }
  }

  /** A frame without sound has been dealt with; its position counts once all before it is played. */
  mark(position: Position | undefined): void {
    if (position !== undefined) this.process({ type: 'mark', position });
  }

  /** Interruptions queue up one behind the other; speech that comes meanwhile is held and follows the last of them. Never rejects. */
  interrupt(signal: AbortSignal, by?: string): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#guard.mute();
    const overtaken = this.#held?.length ?? 0;
    if (overtaken > 0) this.#drop(overtaken, 0, 'interrupted');
    // Taken here and not when its turn comes: by then a later interruption may have put its own in place.
    const mine: Held[] = [];
    this.#held = mine;
    this.#normalizer.reset();
    const utterance = {
      start: this.#utteranceStart,
      written: this.#utteranceWritten,
      playedBefore: this.#out.playedSamples,
      ...(this.#context === undefined ? {} : { context: this.#context }),
    };
    this.#open = false;
    this.#context = undefined;
    this.#utteranceWritten = 0;
    this.#interrupting = this.#interrupting.then(() => this.#interrupt(utterance, mine, signal, by));
    return this.#interrupting;
  }

  async #interrupt(
    utterance: { start: number; written: number; playedBefore: number; context?: string },
    mine: Held[],
    signal: AbortSignal,
    by: string | undefined,
  ): Promise<void> {
    const report = (error: unknown): undefined => {
      if (!signal.aborted) this.#failed(error);
    };
    const dropping = this.#out.interrupt(signal).catch(report);
    const telling = withDeadline(
      { signal, ms: INTERRUPT_DEADLINE_MS, what: 'Telling the replica to stop', clock: this.#clock },
      (own) => this.#tellReplica(own),
    ).catch(report);
    const [dropped] = await Promise.all([dropping, telling]);
    if (!signal.aborted) {
      const played = Math.max(dropped?.playedSamples ?? 0, utterance.playedBefore) - utterance.start;
      this.#sink.push({
        type: 'interrupted',
        playedMs: msOf(Math.max(0, Math.min(played, utterance.written))),
        droppedMs: msOf(dropped?.droppedSamples ?? 0),
        ...(utterance.context === undefined ? {} : { context: utterance.context }),
        ...(by === undefined ? {} : { by }),
      });
    }
    await this.#guard.unmuteWhenQuiet(signal).catch(report);
    // Who is told that something was played may feed more at once: that goes behind what is still held.
    for (let frame = mine.shift(); frame && this.#held === mine; frame = mine.shift()) this.#now(frame);
    // A later interruption has put its own hold in place: ours, and what it held, was dropped by it.
    if (this.#held === mine) this.#held = undefined;
  }

  /**
   * What comes next belongs to an utterance that an earlier owner began: nobody is told of its start again. `inferenceId`: what it is
   * called at Tavus (echo mode).
   */
  continueUtterance(inferenceId: string | undefined): void {
    if (this.#closed || this.#open) return;
    this.#open = true;
    this.#context = undefined;
    this.#utteranceStart = this.#out.acceptedSamples;
    this.#utteranceWritten = 0;
    if (inferenceId !== undefined) this.#out.continueWith?.(inferenceId);
  }

  /** Nothing is open, held back or on its way: between two utterances. */
  get atRest(): boolean {
    return !this.#open && !this.#held && this.#out.bufferedMs === 0;
  }

  /** Stops where it stands, an interruption that is under way first; see SpeechOut. */
  async pause(signal: AbortSignal): Promise<void> {
    while (this.#held) await orAborted(this.#interrupting, signal);
    await this.#out.pause(signal);
  }

  async resume(signal: AbortSignal): Promise<void> {
    if (!this.#closed) await this.#out.resume(signal);
  }

  /** The utterance's end never came: it ends here, with what the resampler still holds. */
  giveUpWaiting(): void {
    if (!this.#closed) this.#finish(undefined, this.#context);
  }

  /** Everything accepted is in the replica's ears. */
  async drained(signal: AbortSignal): Promise<void> {
    while (this.#held) await this.#interrupting;
    if (this.#open) this.#finish(undefined, this.#context);
    await this.#out.drained(signal);
  }

  close(): void {
    this.#closed = true;
    this.#held = undefined;
    this.#out.close();
  }

  #now(frame: Held): void {
    switch (frame.type) {
      case 'tts-started':
        this.#begin(frame.context);
        return this.#mark(frame.position);
      case 'tts-audio':
        if (!this.#open) this.#begin(frame.context);
        return this.#write(this.#normalizer.push(frame), frame.position);
      case 'tts-stopped':
        return this.#finish(frame.position, frame.context ?? this.#context);
      case 'mark':
        return this.#mark(frame.position);
      default:
        return frame satisfies never;
    }
  }

  #begin(context: string | undefined): void {
    if (this.#open) this.#finish(undefined, this.#context);
    this.#open = true;
    this.#context = context;
    this.#utteranceStart = this.#out.acceptedSamples;
    this.#utteranceWritten = 0;
    this.#sink.push({ type: 'tts-started', ...(context === undefined ? {} : { context }) });
  }

  #finish(position: Position | undefined, context: string | undefined): void {
    const wasOpen = this.#open;
    this.#open = false; // before anything is told: who is told may feed the next utterance at once
    if (wasOpen) this.#write(this.#normalizer.end(), undefined);
    if (wasOpen) this.#sink.push({ type: 'tts-stopped', ...(context === undefined ? {} : { context }) });
    this.#out.endUtterance(position);
  }

  #mark(position: Position | undefined): void {
    if (position !== undefined) this.#out.write(new Uint8Array(0), position);
  }

  #write(pcm: Uint8Array, position: Position | undefined): void {
    const samples = pcm.byteLength / 2;
    if (this.#out.write(pcm, position)) this.#utteranceWritten += samples;
    else this.#drop(1, msOf(samples), 'overflow');
  }

  #drop(count: number, ms: number, why: 'overflow' | 'interrupted'): void {
    this.#sink.push({ type: 'frames-dropped', count, ms, why });
  }

  #failed(thrown: unknown): void {
    const error = asFleetError(thrown);
    this.#sink.push({ type: 'error', code: error.code, fatal: false, message: error.message });
  }
}
