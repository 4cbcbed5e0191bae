import { UtteranceNormalizer } from '@tavus-fleet/audio';
import { withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import type { Room } from '@tavus-fleet/rooms';
import type { FrameIn, FrameSink, Position } from './frames.ts';
import { msOf, OUT_RATE, type SpeechOut } from './speech-out.ts';
import { StaleGuard } from './stale-guard.ts';

const INTERRUPT_DEADLINE_MS = 2_000;
/** Held while an interruption is under way; that takes at most a few hundred ms, so more than this is a producer running wild. */
const HOLD_MAX_FRAMES = 2_000;

type SpeechFrame = Extract<FrameIn, { type: 'tts-started' | 'tts-audio' | 'tts-stopped' }>;

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
  #held: SpeechFrame[] | undefined;
  #interrupting: Promise<void> = Promise.resolve();

  constructor(out: SpeechOut, sink: FrameSink, room: Room, clock: Clock, tellReplica: (signal: AbortSignal) => Promise<void>) {
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

  get replicaSpeaking(): boolean {
    return this.#guard.speaking;
  }

  /** Received audio or Tavus' events say that the avatar speaks or not. */
  heard(speaking: boolean): void {
    this.#guard.heard(speaking);
  }

  process(frame: SpeechFrame): void {
    if (this.#held) {
      if (this.#held.length >= HOLD_MAX_FRAMES) this.#drop(1, 0, 'overflow');
      else this.#held.push(frame);
      return;
    }
    if (frame.type === 'tts-started') {
      this.#begin(frame.context);
      this.mark(frame.position);
    } else if (frame.type === 'tts-audio') {
      if (!this.#open) this.#begin(frame.context);
      this.#write(this.#normalizer.push(frame), frame.position);
    } else {
      this.#finish(frame.position, frame.context ?? this.#context);
    }
  }

  /** A frame without sound has been dealt with; its position counts once all before it is played. */
  mark(position: Position | undefined): void {
    if (position !== undefined) this.#out.write(new Uint8Array(0), position);
  }

  /** Interruptions queue up one behind the other; speech that comes meanwhile is held and follows the last of them. */
  interrupt(signal: AbortSignal): Promise<void> {
    this.#guard.mute();
    this.#held = [];
    this.#normalizer.reset();
    const { playedSamples: playedBefore } = this.#out;
    const wasOpen = { start: this.#utteranceStart, written: this.#utteranceWritten };
    this.#open = false;
    this.#interrupting = this.#interrupting.then(() => this.#interrupt(wasOpen, playedBefore, signal));
    return this.#interrupting;
  }

  async #interrupt(utterance: { start: number; written: number }, playedBefore: number, signal: AbortSignal): Promise<void> {
    const mine = this.#held;
    try {
      const dropping = this.#out.interrupt(signal);
      const telling = withDeadline({ signal, ms: INTERRUPT_DEADLINE_MS, what: 'Telling the replica to stop', clock: this.#clock }, (own) => this.#tellReplica(own));
      const [dropped] = await Promise.all([dropping, telling.catch((error: unknown) => this.#failed(error))]);
      const playedMs = msOf(Math.max(0, Math.min(Math.max(dropped.playedSamples, playedBefore) - utterance.start, utterance.written)));
      this.#sink.push({ type: 'interrupted', playedMs, droppedMs: msOf(dropped.droppedSamples) });
      await this.#guard.unmuteWhenQuiet(signal);
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
    } finally {
      this.#utteranceWritten = 0;
      // A later interruption has put its own hold in place: ours, and what it held, was dropped by it.
      if (this.#held === mine) {
        this.#held = undefined;
        for (const frame of mine ?? []) this.process(frame);
      }
    }
  }

  /** Everything accepted is in the replica's ears. */
  async drained(signal: AbortSignal): Promise<void> {
    await this.#interrupting;
    if (this.#open) this.#finish(undefined, this.#context);
    await this.#out.drained(signal);
  }

  close(): void {
    this.#held = undefined;
    this.#out.close();
  }

  #begin(context: string | undefined): void {
    if (this.#open) this.#finish(undefined, this.#context);
    this.#open = true;
    this.#context = context;
    this.#utteranceStart = this.#out.playedSamples + Math.round((this.#out.bufferedMs * OUT_RATE) / 1000);
    this.#utteranceWritten = 0;
    this.#sink.push({ type: 'tts-started', ...(context === undefined ? {} : { context }) });
  }

  #finish(position: Position | undefined, context: string | undefined): void {
    if (this.#open) this.#write(this.#normalizer.end(), undefined);
    this.#out.endUtterance(position);
    if (!this.#open) return;
    this.#open = false;
    this.#sink.push({ type: 'tts-stopped', ...(context === undefined ? {} : { context }) });
  }

  #write(pcm: Uint8Array, position: Position | undefined): void {
    const samples = pcm.byteLength / 2;
    if (this.#out.write(pcm, position)) this.#utteranceWritten += samples;
    else this.#drop(1, msOf(samples), 'overflow');
  }

  #drop(count: number, ms: number, why: 'overflow'): void {
    this.#sink.push({ type: 'frames-dropped', count, ms, why });
  }

  #failed(error: unknown): void {
    const message = error instanceof Error ? error.message : 'The interruption did not reach the replica.';
    this.#sink.push({ type: 'error', code: 'message-refused', fatal: false, message });
  }
}
