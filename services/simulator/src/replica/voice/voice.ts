import type { Hearing } from '../../replica-options.ts';
import { EchoQueue, type EchoEvent } from './echo-queue.ts';
import { SpeechDetector } from './speech-detector.ts';

export type VoiceReport =
  /** RMS 0…1 of what is being played, the louder of two windows, each 40 ms (a picture's time at 24 fps); the mouth follows it. */
  | { readonly kind: 'level'; readonly rms: number }
  | { readonly kind: 'started'; readonly inferenceId: string | null }
  | {
      readonly kind: 'stopped';
      readonly inferenceId: string | null;
      readonly seconds: number;
      readonly interrupted: boolean;
    }
  /** The next stretch of the continuous recording: 100 ms of s16 samples, or that much silence. */
  | { readonly kind: 'heard'; readonly samples: Int16Array<ArrayBuffer> | number };

export type VoiceOptions = { readonly rate: number; readonly delayMs: number; readonly hearing: Hearing };

const LEVEL_SECONDS = 0.02;
const BLOCK_SECONDS = 0.1;

/**
 * The replica's ear and mouth, sample by sample and without any browser: what comes in (stream or echo) is recorded,
 * delayed and played. `interrupt` silences from the very next sample, whatever the delay still held. Events are about
 * what is *played*, so they come one delay after the sound was heard.
 */
export class Voice {
  muted = false;
  readonly #options: VoiceOptions;
  readonly #report: (report: VoiceReport) => void;
  readonly #echo: EchoQueue;
  readonly #delay: Float32Array;
  readonly #block: Int16Array<ArrayBuffer>;
  readonly #detector = new SpeechDetector();
  /** Echo events that are due when their sample leaves the delay line. */
  #pending: { readonly at: number; readonly event: EchoEvent }[] = [];
  #speaking: { readonly inferenceId: string; readonly since: number } | null = null;
  #position = 0;
  #blockFill = 0;
  #blockIsSilent = true;
  #levelSum = 0;
  #levelCount = 0;
  #previousRms: number | null = null;

  constructor(options: VoiceOptions, report: (report: VoiceReport) => void) {
    this.#options = options;
    this.#report = report;
    this.#delay = new Float32Array(Math.max(1, Math.round((options.delayMs / 1000) * options.rate)));
    this.#block = new Int16Array(Math.round(BLOCK_SECONDS * options.rate));
    this.#echo = new EchoQueue(options.rate, (event) =>
      this.#pending.push({ at: this.#position + this.#delay.length, event }),
    );
  }

  pushEcho(inferenceId: string, samples: Float32Array, isDone: boolean): void {
    this.#echo.push(inferenceId, samples, isDone);
  }

  /** One quantum: `heard` is changed (echo is added to it) and `played` is filled. */
  process(heard: Float32Array, played: Float32Array): void {
    if (this.#options.hearing === 'echo') this.#echo.pull(heard);
    for (let i = 0; i < heard.length; i += 1) {
      const slot = this.#position % this.#delay.length;
      const out = this.#delay[slot] ?? 0;
      this.#delay[slot] = heard[i] ?? 0;
      this.#record(heard[i] ?? 0);
      played[i] = this.muted ? 0 : out;
      this.#level(out);
      this.#position += 1;
    }
    for (let due = this.#pending[0]; due && due.at < this.#position; due = this.#pending[0]) {
      this.#pending.shift();
      this.#speak(due.event);
    }
  }

  interrupt(): void {
    this.#echo.interrupt();
    this.#delay.fill(0);
    this.#pending = [];
    if (this.#speaking) {
      const { inferenceId, since } = this.#speaking;
      this.#speaking = null;
      this.#report({
        kind: 'stopped',
        inferenceId,
        seconds: (this.#position - since) / this.#options.rate,
        interrupted: true,
      });
    } else if (this.#detector.isSpeaking) {
      this.#report({ ...this.#detector.stop(), inferenceId: null, interrupted: true });
    }
  }

  #speak(event: EchoEvent): void {
    const { inferenceId } = event;
    if (event.kind === 'started') {
      this.#speaking = { inferenceId, since: this.#position };
      return this.#report({ kind: 'started', inferenceId });
    }
    this.#speaking = null;
    this.#report({ kind: 'stopped', inferenceId, seconds: event.samples / this.#options.rate, interrupted: false });
  }

  #record(sample: number): void {
    const value = Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_768)));
    this.#block[this.#blockFill] = value;
    this.#blockIsSilent &&= value === 0;
    this.#blockFill += 1;
    if (this.#blockFill < this.#block.length) return;
    this.#report({ kind: 'heard', samples: this.#blockIsSilent ? this.#block.length : this.#block.slice() });
    this.#blockFill = 0;
    this.#blockIsSilent = true;
  }

  #level(sample: number): void {
    this.#levelSum += sample * sample;
    this.#levelCount += 1;
    if (this.#levelCount < LEVEL_SECONDS * this.#options.rate) return;
    const rms = Math.sqrt(this.#levelSum / this.#levelCount);
    this.#levelSum = 0;
    this.#levelCount = 0;
    if (this.#previousRms === null) this.#previousRms = rms;
    else {
      this.#report({ kind: 'level', rms: Math.max(rms, this.#previousRms) });
      this.#previousRms = null;
    }
    if (this.#options.hearing !== 'stream') return;
    const turn = this.#detector.window(rms, LEVEL_SECONDS);
    if (turn?.kind === 'started') this.#report({ kind: 'started', inferenceId: null });
    if (turn?.kind === 'stopped') this.#report({ ...turn, inferenceId: null, interrupted: false });
  }
}
