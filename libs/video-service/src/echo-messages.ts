import { asFleetError, FleetError } from '@tavus-fleet/contracts';
import { type Clock, orAborted, retry, sleep, type Timer, withDeadline } from '@tavus-fleet/lifecycle';
import type { Room } from '@tavus-fleet/rooms';
import { echoMessage, maxEchoBytes } from '@tavus-fleet/tavus';
import { EchoQueue } from './echo-queue.ts';
import type { FrameSink, Position, Progress } from './frames.ts';
import { msOf, OUT_RATE, type SpeechOut } from './speech-out.ts';

const SEND_MS = 3_000;
/** No audio for this long closes the utterance, as Pipecat does when tts-stopped never comes. */
const FALLBACK_MS = 3_000;
/** Pipecat closes an utterance with a separate message of 40 ms silence and done=true; shorter where the room's limit asks for it. */
const DONE_SILENCE = new Uint8Array((OUT_RATE / 25) * 2);
/** Paced, so much speech is sent before it is due: enough to ride over a slow room, and little is cut by an interruption. */
const LEAD_MS = 400;
/** How often `drained` looks: an interruption may have made the rest due earlier. */
const LOOK_MS = 100;

export type EchoOptions = {
  readonly room: Room;
  readonly clock: Clock;
  readonly conversationId: string;
  /** The room's limit for one app message, UTF-16 units of its JSON. */
  readonly maxMessageLength: number;
  readonly onPlayed: (position: Position | undefined, progress: Progress) => void;
  readonly sink: FrameSink;
  /** Asked before each message: settings change while it runs. */
  readonly pacing: () => { readonly paced: boolean; readonly chunkMs: number | undefined };
  /** Nothing came for FALLBACK_MS inside an utterance: whoever feeds us is to end it, with what it still holds. */
  readonly onSilent: () => void;
};

/**
 * Echo mode: `conversation.echo` messages, as fast as they are accepted (Tavus buffers and renders; documented by Pipecat as
 * wanted) or, asked for, at the pace at which they are heard. One inference id per utterance, kept to its last message: switching early cut sentences. One message is in flight
 * at a time. An interruption begins a new generation: nothing of an older one is sent, tried again or reported after it.
 */
export class EchoMessages implements SpeechOut {
  readonly #options: EchoOptions;
  readonly #queue: EchoQueue;
  #sentSamples = 0;
  #inFlightSamples = 0;
  #inFlightPosition: Position | undefined;
  #dueAt = 0;
  #inferenceId: string | undefined;
  /** Samples sent behind the last position. */
  #into = 0;
  #running: Promise<void> | undefined;
  /** Aborts with each interruption, and with the end. */
  #generation = new AbortController();
  #paused = false;
  #closed = false;
  #fallback: Timer | undefined;

  constructor(options: EchoOptions) {
    this.#options = options;
    this.#queue = new EchoQueue(options);
  }

  get bufferedMs(): number {
    return msOf(this.#queue.samples + this.#inFlightSamples);
  }

  /** Sent and, by the clock, rendered by now: Tavus plays in real time and says nothing more exact. */
  get playedSamples(): number {
    const aheadMs = Math.max(0, this.#dueAt - this.#options.clock.now());
    return Math.max(0, this.#sentSamples - Math.round((aheadMs * OUT_RATE) / 1000));
  }

  get acceptedSamples(): number {
    return this.#sentSamples + this.#inFlightSamples + this.#queue.samples;
  }

  get lastSoundAt(): number {
    return this.#dueAt;
  }

  write(pcm: Uint8Array, position: Position | undefined): boolean {
    if (this.#closed || !this.#queue.push(pcm, position)) return false;
    this.#kick();
    return true;
  }

  endUtterance(position: Position | undefined): void {
    if (this.#closed) return;
    this.#queue.end(position);
    this.#kick();
  }

  async interrupt(): Promise<{ droppedSamples: number; playedSamples: number }> {
    const { playedSamples } = this;
    const droppedSamples = this.acceptedSamples - playedSamples;
    const behind = this.#queue.clear() ?? this.#inFlightPosition;
    this.#generation.abort(new FleetError('shutting-down', 'Interrupted.'));
    this.#generation = new AbortController();
    this.#fallback?.[Symbol.dispose]();
    this.#inferenceId = undefined; // no `done` for the utterance that was cut
    this.#sentSamples = playedSamples;
    this.#inFlightSamples = 0;
    this.#inFlightPosition = undefined;
    if (this.#dueAt > 0) this.#dueAt = Math.min(this.#dueAt, this.#options.clock.now());
    // What an interruption dropped is behind us too: a successor must not send it.
    this.#into = 0;
    if (behind !== undefined) this.#tell(behind);
    return { droppedSamples, playedSamples };
  }

  continueWith(inferenceId: string): void {
    this.#inferenceId ??= inferenceId;
  }

  async drained(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!this.#closed) {
      const dueInMs = this.#dueAt - clock.now();
      if (!this.#running && dueInMs <= 0) return;
      await sleep(clock, this.#running ? LOOK_MS : Math.min(LOOK_MS, dueInMs), signal);
    }
  }

  close(): void {
    this.#closed = true;
    this.#generation.abort(new FleetError('shutting-down', 'The conversation is ending.'));
    this.#fallback?.[Symbol.dispose]();
    this.#queue.clear();
  }

  /** What was sent is Tavus' and is said; the message that is on its way is waited for. */
  async pause(signal: AbortSignal): Promise<void> {
    this.#paused = true;
    if (this.#running) await orAborted(this.#running, signal);
  }

  async resume(): Promise<void> {
    this.#paused = false;
    this.#kick();
  }

  #tell(position: Position | undefined): void {
    const ofUtterance = this.#inferenceId === undefined ? {} : { inferenceId: this.#inferenceId };
    this.#options.onPlayed(position, { samples: this.#sentSamples, intoMs: msOf(this.#into), ...ofUtterance });
  }

  #kick(): void {
    this.#running ??= this.#run();
  }

  /** Never rejects. Says that it is over in the same turn in which it found nothing more: what is written later starts it again. */
  async #run(): Promise<void> {
    await Promise.resolve(); // so that `#running` is set before it can be cleared
    while (!this.#closed && !this.#paused) {
      const { signal } = this.#generation;
      if (this.#options.pacing().paced) await this.#ahead(signal);
      if (this.#paused) break;
      if (signal.aborted) continue; // interrupted meanwhile: what waited is gone
      const next = this.#queue.next(this.#inferenceId, this.#options.pacing().chunkMs);
      if (!next) break;
      if (next.kind === 'audio') await this.#audio(next, signal);
      else if (next.kind === 'end') await this.#done(signal);
      if (signal.aborted) continue;
      this.#into = (next.position === undefined ? this.#into : 0) + (next.kind === 'audio' ? next.into : 0);
      if (next.position !== undefined || next.kind === 'audio') this.#tell(next.position);
    }
    this.#running = undefined;
  }

  /** Waits until what was sent is nearly heard. Never rejects. */
  async #ahead(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const earlyMs = this.#dueAt - LEAD_MS - clock.now();
    if (earlyMs > 0) await sleep(clock, earlyMs, signal).catch(() => undefined); // aborted: its caller looks
  }

  async #audio(
    next: { pcm: Uint8Array; inferenceId: string; position: Position | undefined },
    signal: AbortSignal,
  ): Promise<void> {
    this.#inferenceId = next.inferenceId;
    // Counts from when a message is dealt with: a room that takes long to confirm one is no pause in speech.
    this.#fallback?.[Symbol.dispose]();
    const samples = next.pcm.byteLength / 2;
    this.#inFlightSamples = samples;
    this.#inFlightPosition = next.position;
    const sent = await this.#send(next.pcm, next.inferenceId, false, signal);
    if (signal.aborted) return;
    this.#inFlightSamples = 0;
    this.#inFlightPosition = undefined;
    const { clock } = this.#options;
    // A message that was refused does not leave the utterance open: what arrived before it is still to be closed.
    this.#fallback = clock.after(FALLBACK_MS, () => this.#options.onSilent());
    if (!sent) return;
    this.#sentSamples += samples;
    this.#dueAt = Math.max(this.#dueAt, clock.now()) + msOf(samples);
  }

  async #done(signal: AbortSignal): Promise<void> {
    const inferenceId = this.#inferenceId;
    if (inferenceId === undefined) return;
    this.#fallback?.[Symbol.dispose]();
    // Refused for its size it would leave the utterance open at Tavus: less silence is better than no `done`.
    const { conversationId, maxMessageLength: limit } = this.#options;
    const most = maxEchoBytes({ limit, conversationId, inferenceId, sampleRate: OUT_RATE, done: true });
    await this.#send(DONE_SILENCE.subarray(0, most), inferenceId, true, signal);
    if (!signal.aborted) this.#inferenceId = undefined;
  }

  async #send(pcm: Uint8Array, inferenceId: string, done: boolean, signal: AbortSignal): Promise<boolean> {
    const { conversationId, room, clock, sink } = this.#options;
    const message = echoMessage({ conversationId, inferenceId, audio: pcm, sampleRate: OUT_RATE, done });
    try {
      await retry({ attempts: 3, firstMs: 50, maxMs: 500 }, { signal, clock }, () =>
        withDeadline({ signal, ms: SEND_MS, what: 'Sending speech', clock }, (own) => room.send(message, own)),
      );
      return true;
    } catch (thrown) {
      if (signal.aborted) return false;
      const error = asFleetError(thrown);
      sink.push({ type: 'error', code: error.code, fatal: false, message: error.message });
      if (!done) sink.push({ type: 'frames-dropped', count: 1, ms: msOf(pcm.byteLength / 2), why: 'refused' });
      return false;
    }
  }
}
