import { FleetError, type AudioSocketMessage, type InboundFrame, type JsonFrame } from '@tavus-fleet/contracts';
import { Emitter, systemClock, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import { durationMs, type PcmFormat } from '../pcm.ts';
import type { FrameSender } from '../transport.ts';
import { Waiting } from '../waiting.ts';
import { LineProgress } from './line-progress.ts';
import { isErrorCode, type Requests } from './requests.ts';
import { SocketLine } from './socket-line.ts';

/** Messages that were sent and not yet acknowledged; the api takes 64 before it stops reading. */
const WINDOW = { frames: 32, bytes: 1024 * 1024 };
const AGAIN_MS = { first: 100, max: 2_000 };

type Options = {
  readonly requests: Requests;
  readonly conversationId: string;
  /** How long no frame may be accepted before those that wait fail. */
  readonly patienceMs: number;
  readonly clock?: Clock;
};

/**
 * Frames over the api's WebSocket, as one producer that counts its messages. After a cut the api says how many it has; what it
 * lacks is sent again, with the same numbers. So nothing is lost and nothing is there twice.
 */
export class FrameSocket implements FrameSender {
  readonly #options: Options;
  readonly #clock: Clock;
  readonly #waiting = new Waiting();
  readonly #progress: LineProgress;
  readonly #changed = new Emitter<void>(() => undefined);
  #producer = crypto.randomUUID();
  /** Frames that are known to be in the stream, and what the api's count is ahead of that (below 0: its count was lost). */
  #accepted = 0;
  #offset = 0;
  #line: SocketLine | undefined;
  #format: PcmFormat | undefined;
  #ready = false;
  #sent = 0;
  #again: Timer | undefined;
  #pauseMs = AGAIN_MS.first;
  /** When a frame was last accepted, or began to wait. */
  #movedAt = 0;
  #over = false;
  #closed = false;

  constructor(options: Options) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#progress = new LineProgress(this.#clock);
  }

  get progress(): { acceptedMs: number; heardMs: number } {
    return this.#progress.progress;
  }

  get over(): boolean {
    return this.#over;
  }

  onProgress(listener: () => void): () => void {
    return this.#changed.on(listener);
  }

  append(frame: InboundFrame, signal?: AbortSignal): Promise<void> {
    if (this.#over) return Promise.reject(overError());
    if (this.#closed) return Promise.reject(closedError());
    if (this.#waiting.size === 0) this.#movedAt = this.#clock.now();
    const added = this.#waiting.add(frame, signal);
    this.#flush();
    return added;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#finish(closedError());
  }

  #flush(): void {
    if (!this.#line && !this.#again) this.#connect();
    if (!this.#line || !this.#ready) return;
    const items = this.#waiting.take(WINDOW);
    for (; this.#sent < items.length && this.#line.backlog < WINDOW.bytes; this.#sent += 1) {
      const item = items[this.#sent];
      if (item) this.#line.send(this.#written(item.frame), () => this.#flush());
    }
  }

  #connect(): void {
    const { requests, conversationId } = this.#options;
    this.#format ??= this.#waiting.firstFormat;
    const query = new URLSearchParams({ producer: this.#producer });
    for (const [name, value] of Object.entries(this.#format ?? {})) query.set(name, String(value));
    const path = `/v1/conversations/${encodeURIComponent(conversationId)}/audio`;
    this.#ready = false;
    this.#line = new SocketLine({
      url: `${requests.url(path).replace(/^http/, 'ws')}?${query.toString()}`,
      headers: requests.headers,
      clock: this.#clock,
      owes: () => this.#waiting.size > 0,
      onMessage: (message) => this.#told(message),
      onClosed: (error) => this.#cut(error),
    });
  }

  /** Sound in the connection's format as it is, all else as JSON. */
  #written(frame: InboundFrame): string | Uint8Array {
    if (frame.type !== 'tts-audio') return JSON.stringify(frame satisfies JsonFrame);
    const plain = frame.rate === this.#format?.rate && frame.channels === this.#format.channels;
    if (plain && frame.id === undefined && frame.context === undefined) return frame.audio;
    return JSON.stringify({ ...frame, audio: Buffer.from(frame.audio).toString('base64') } satisfies JsonFrame);
  }

  #told(message: AudioSocketMessage): void {
    switch (message.type) {
      case 'ready':
        this.#format = { rate: message.rate, channels: message.channels };
        this.#resume(message.accepted);
        break;
      case 'ack':
        this.#take(message.accepted, (ms) => this.#progress.accepted(ms));
        this.#progress.buffered(message.bufferedMs);
        break;
      case 'error':
        this.#refused(message);
        break;
      case 'ended':
        this.#over = true;
        return this.#finish(overError());
      default:
        message satisfies never;
    }
    this.#flush();
    this.#changed.emit();
  }

  /** A new line: what it says to have is settled, the rest is sent again. */
  #resume(accepted: number): void {
    this.#ready = true;
    this.#sent = 0;
    this.#pauseMs = AGAIN_MS.first;
    if (accepted - this.#offset < this.#accepted) this.#offset = accepted - this.#accepted;
    this.#take(accepted, (ms) => this.#progress.acceptedEarlier(ms));
  }

  /** The api's count says that all up to there are in the stream. */
  #take(accepted: number, account: (ms: number) => void): void {
    const count = accepted - this.#offset - this.#accepted;
    if (count <= 0) return;
    for (const frame of this.#waiting.done(count)) {
      if (frame.type === 'interruption') this.#progress.clear();
      account(durationMs(frame));
    }
    this.#accepted += count;
    this.#sent = Math.max(0, this.#sent - count);
    this.#movedAt = this.#clock.now();
  }

  #refused({ message, code, detail, field, retrying }: Extract<AudioSocketMessage, { type: 'error' }>): void {
    const error = new FleetError(isErrorCode(code) ? code : 'internal', detail, field === undefined ? {} : { field });
    if (retrying) return this.#keptOut(error);
    this.#take(message - 1, (ms) => this.#progress.accepted(ms));
    this.#waiting.failFirst(error);
    this.#accepted += 1;
    this.#sent = Math.max(0, this.#sent - 1);
  }

  #cut(error: FleetError): void {
    this.#line = undefined;
    this.#progress.cut();
    if (!error.retry) {
      this.#over = error.code === 'conversation-over';
      return this.#finish(error);
    }
    this.#keptOut(error);
    if (this.#closed || (this.#waiting.size === 0 && this.#progress.earlierMs === 0)) return; // the next frame opens another one
    this.#again = this.#clock.after(this.#pauseMs * (0.75 + Math.random() / 2), () => {
      this.#again = undefined;
      this.#flush();
    });
    this.#pauseMs = Math.min(AGAIN_MS.max, this.#pauseMs * 2);
  }

  /** Frames are kept out. When that lasts, those that wait fail; whether some are in the stream nobody knows: their numbers are not used again. */
  #keptOut(error: FleetError): void {
    if (this.#waiting.size === 0 || this.#clock.now() - this.#movedAt <= this.#options.patienceMs) return;
    this.#producer = crypto.randomUUID();
    this.#accepted = 0;
    this.#offset = 0;
    this.#line?.terminate();
    this.#line = undefined;
    this.#waiting.failAll(error);
  }

  #finish(error: FleetError): void {
    this.#again?.[Symbol.dispose]();
    this.#again = undefined;
    this.#line?.terminate();
    this.#line = undefined;
    this.#waiting.failAll(error);
    this.#changed.emit();
  }
}

const overError = (): FleetError => new FleetError('conversation-over', 'The conversation takes no more frames.');
const closedError = (): FleetError => new FleetError('shutting-down', 'The conversation was closed here.');
