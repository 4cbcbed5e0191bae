import { asFleetError, isFinal, type AudioSocketMessage, type InboundFrame } from '@tavus-fleet/contracts';
import { sleep, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import type { WebSocket } from '@fastify/websocket';
import type { Conversations, Frames } from '../ports.ts';
import { InvalidRequest } from '../problem.ts';
import { Ahead } from './ahead.ts';
import { readMessage, type PcmFormat } from './read-message.ts';

/** Messages that were read off the socket and are not yet in the stream; then the socket is not read, and TCP holds the producer back. */
const MAX_PENDING = 64;
/** Answers that the producer has not read. One that sends nonsense and reads nothing must not fill our memory. Bytes. */
const MAX_UNREAD = 256 * 1024;
const LOOK_MS = 250;
const PING_MS = 20_000;
const AGAIN_MS = 250;
/** RFC 6455 close codes: all is said; come back, to another process. */
const DONE = 1000;
const RESTART = 1012;

type Options = {
  readonly socket: WebSocket;
  readonly conversationId: string;
  readonly producer: string;
  readonly accepted: number;
  readonly format: PcmFormat;
  readonly frames: Frames;
  readonly conversations: Pick<Conversations, 'get'>;
  readonly clock: Clock;
  readonly draining: AbortSignal;
};

/**
 * One producer's WebSocket: each message becomes an entry of the frames stream, in order, one at a time. What is wrong is refused by
 * number and skipped; what cannot be added now (Redis away, stream full) is tried again while the socket is not read. Nothing that
 * was acknowledged is lost, and nothing is there twice: the producer's count is kept beside the stream.
 */
export class AudioSocket {
  readonly #options: Options;
  readonly #ahead = new Ahead();
  readonly #pending: { readonly bytes: Buffer; readonly binary: boolean }[] = [];
  readonly #gone = new AbortController();
  readonly #timers: Timer[];
  #accepted: number;
  #pumping = false;
  #said = { accepted: 0, bufferedMs: 0 };
  #interruptions: number | undefined;
  #looking = false;
  #answered = true;

  constructor(options: Options) {
    this.#options = options;
    this.#accepted = options.accepted;
    const { socket, clock, draining, producer, accepted, format } = options;
    this.#timers = [clock.every(LOOK_MS, () => void this.#look()), clock.every(PING_MS, () => this.#ping())];
    draining.addEventListener('abort', () => this.#leave(RESTART, 'come back'), { signal: this.#gone.signal });
    socket.on('message', (data, binary) => this.#take(data, binary));
    socket.on('pong', () => (this.#answered = true));
    // Too large a message, text that is no UTF-8, broken framing: ws has sent the close code that says which, and ends by itself.
    socket.on('error', () => this.#release());
    socket.once('close', () => this.#release());
    this.#said = { accepted, bufferedMs: 0 };
    this.#say({ type: 'ready', producer, accepted, ...format });
    if (draining.aborted) this.#leave(RESTART, 'come back');
  }

  /** Nothing runs for a producer that takes its time to close its side. */
  #leave(code: number, reason: string): void {
    this.#release();
    this.#options.socket.close(code, reason);
  }

  #release(): void {
    for (const timer of this.#timers) timer[Symbol.dispose]();
    this.#gone.abort();
  }

  #take(data: Buffer | ArrayBuffer | Buffer[], binary: boolean): void {
    // `nodebuffer`, the default binary type: ws hands over one Buffer. After our goodbye nothing is taken: it was not acknowledged.
    if (!Buffer.isBuffer(data) || this.#gone.signal.aborted) return;
    this.#pending.push({ bytes: data, binary });
    if (this.#pending.length >= MAX_PENDING) this.#options.socket.pause();
    if (!this.#pumping) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    for (let next = this.#pending[0]; next && !this.#gone.signal.aborted; next = this.#pending[0]) {
      await this.#untilRead();
      if (this.#gone.signal.aborted) break;
      await this.#add(next.bytes, next.binary, this.#accepted + 1);
      this.#pending.shift();
      if (this.#pending.length < MAX_PENDING / 2) this.#options.socket.resume();
    }
    this.#pumping = false;
    this.#ack();
  }

  /** Nothing more is taken from a producer that does not read what it is told; TCP holds it back. */
  async #untilRead(): Promise<void> {
    const { socket, clock } = this.#options;
    while (socket.bufferedAmount > MAX_UNREAD && !this.#gone.signal.aborted)
      await sleep(clock, AGAIN_MS, this.#gone.signal).catch(() => undefined); // gone: the loop ends
  }

  async #add(bytes: Buffer, binary: boolean, number: number): Promise<void> {
    const { conversationId, producer, frames, clock, format } = this.#options;
    let frame: InboundFrame;
    try {
      frame = readMessage(bytes, binary, format);
    } catch (error) {
      this.#accepted = number;
      const first = error instanceof InvalidRequest ? error.errors[0] : undefined;
      const detail = first?.message ?? asFleetError(error).message;
      return this.#refuse(number, 'malformed-frame', detail, false, { field: first?.field ?? 'message' });
    }
    for (let told = ''; !this.#gone.signal.aborted;) {
      try {
        const entryId = await frames.appendNumbered(conversationId, frame, { producer, number });
        this.#accepted = number;
        if (frame.type === 'interruption') this.#ahead.clear();
        if (entryId !== undefined && frame.type === 'tts-audio')
          this.#ahead.added(entryId, (frame.audio.byteLength * 1_000) / (2 * frame.channels * frame.rate));
        return;
      } catch (thrown) {
        const { code, message, retry } = asFleetError(thrown);
        if (!retry) {
          this.#accepted = number;
          return this.#refuse(number, code, message, false);
        }
        if (told !== code) this.#refuse(number, code, message, true);
        told = code;
        await sleep(clock, AGAIN_MS, this.#gone.signal).catch(() => undefined); // gone: the loop ends
      }
    }
  }

  /** What was played meanwhile, and whether it is over. A look that fails is made again. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const record = await this.#options.conversations.get(this.#options.conversationId);
      if (record && !isFinal(record.state)) {
        const { interruptions } = record.counters;
        if (this.#interruptions !== undefined && interruptions > this.#interruptions) this.#ahead.clear();
        this.#interruptions = interruptions;
        this.#ahead.played(record.position);
        if (this.#ahead.ms !== this.#said.bufferedMs) this.#ack();
        return;
      }
      const reason = record?.endReason;
      this.#say({ type: 'ended', ...(reason === undefined ? {} : { endReason: reason }) });
      this.#leave(DONE, 'ended');
    } catch {
      return; // Redis is silent; the frames say so where it matters
    } finally {
      this.#looking = false;
    }
  }

  #ack(): void {
    const now = { accepted: this.#accepted, bufferedMs: this.#ahead.ms };
    if (now.accepted === this.#said.accepted && now.bufferedMs === this.#said.bufferedMs) return;
    this.#said = now;
    this.#say({ type: 'ack', ...now });
  }

  #refuse(message: number, code: string, detail: string, retrying: boolean, field?: { field: string }): void {
    this.#say({ type: 'error', message, code, detail, retrying, ...field });
  }

  #say(message: AudioSocketMessage): void {
    const { socket } = this.#options;
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
  }

  /** Half-open connections are found within two rounds. */
  #ping(): void {
    const { socket } = this.#options;
    if (socket.isPaused) return; // an answer could not be read
    if (!this.#answered) return socket.terminate();
    this.#answered = false;
    socket.ping();
  }
}
