import { AudioSocketMessage, type FleetError } from '@tavus-fleet/contracts';
import type { Clock, Timer } from '@tavus-fleet/lifecycle';
import { WebSocket, type RawData } from 'ws';
import { problemError, unreachable } from './requests.ts';

/** The api pings every 20 s; silent for longer than two of them, a line is dead though it looks open. */
const SILENT_MS = 50_000;
/** The same while it owes us an answer. */
const OWES_MS = 5_000;
const LOOK_MS = 1_000;
const OPEN_MS = 5_000;

type Options = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Whether something was sent that is not yet answered. */
  readonly owes: () => boolean;
  readonly onMessage: (message: AudioSocketMessage) => void;
  /** Once; after it nothing comes. */
  readonly onClosed: (error: FleetError) => void;
};

/** One WebSocket to the api, from its opening to its end. It does not come back: the sender makes another one. */
export class SocketLine {
  readonly #options: Options;
  readonly #socket: WebSocket;
  readonly #looking: Timer;
  #heardAt: number;
  #closed = false;

  constructor(options: Options) {
    this.#options = options;
    const { url, headers, clock } = options;
    this.#heardAt = clock.now();
    this.#socket = new WebSocket(url, { headers: { ...headers }, handshakeTimeout: OPEN_MS, perMessageDeflate: false });
    this.#looking = clock.every(LOOK_MS, () => this.#look());
    this.#socket.on('message', (data, binary) => this.#take(data, binary));
    this.#socket.on('ping', () => (this.#heardAt = clock.now()));
    this.#socket.on('error', (error) => this.#end(unreachable(error)));
    this.#socket.on('close', () => this.#end(unreachable('closed')));
    // A refusal is an HTTP answer with a problem, like everywhere else.
    this.#socket.on('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => undefined); // 'close' follows
      response.on('close', () => {
        const body = Buffer.concat(chunks).toString('utf8', 0, 65_536);
        this.#end(problemError(response.statusCode ?? 0, body, response.headers['retry-after'] ?? null));
      });
    });
  }

  /** What the operating system has not taken yet, bytes. */
  get backlog(): number {
    return this.#socket.bufferedAmount;
  }

  /** `sent` when the operating system took it. */
  send(data: string | Uint8Array, sent: () => void): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(data, sent);
  }

  /** No goodbye: what is on its way may or may not arrive. */
  terminate(): void {
    this.#closed = true;
    this.#looking[Symbol.dispose]();
    this.#socket.terminate();
  }

  #take(data: RawData, binary: boolean): void {
    if (this.#closed) return;
    this.#heardAt = this.#options.clock.now();
    // `nodebuffer`, the default binary type: ws hands over one Buffer.
    const parsed = binary || !Buffer.isBuffer(data) ? undefined : AudioSocketMessage.safeParse(parse(data.toString()));
    if (parsed?.success) this.#options.onMessage(parsed.data); // what a newer api may say beside is none of ours
  }

  #look(): void {
    const { clock, owes } = this.#options;
    if (clock.now() - this.#heardAt > (owes() ? OWES_MS : SILENT_MS)) this.#end(unreachable('silent'));
  }

  #end(error: FleetError): void {
    if (this.#closed) return;
    this.terminate();
    this.#options.onClosed(error);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
