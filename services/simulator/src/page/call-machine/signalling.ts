import type { ClientMessage, ServerMessage } from '../../daily/protocol.ts';

type Events = {
  message(message: ServerMessage): void;
  /** The socket broke after the join; attempts to come back are under way. */
  interrupted(): void;
  /** Not back in time, or never connected at all. */
  lost(): void;
};

/** As long as the server keeps a dropped page's session (`RECONNECT_GRACE_MS` there). */
const GIVE_UP_AFTER_MS = 8_000;
const RETRY_EVERY_MS = 250;
const MAX_WAITING = 500;

/**
 * The call's one WebSocket. Once joined it survives broken sockets: it comes back with the same session, and what was to
 * be sent meanwhile follows in order. Ends with `close()`, `lost()` or a fatal message of the server.
 */
export class Signalling {
  readonly #url: string;
  readonly #events: Events;
  #socket: WebSocket | null = null;
  #resume: ClientMessage | null = null;
  #brokenSince: number | null = null;
  #waiting: ClientMessage[] = [];
  #retry: ReturnType<typeof setTimeout> | null = null;
  #closed = false;

  constructor(url: string, join: ClientMessage, events: Events) {
    this.#url = url;
    this.#events = events;
    this.#connect(join);
  }

  send(message: ClientMessage): void {
    if (this.#closed) return;
    if (this.#socket?.readyState === WebSocket.OPEN && this.#brokenSince === null)
      this.#socket.send(JSON.stringify(message));
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(message);
  }

  /** Says goodbye, so that no ghost stays. May be called twice. */
  close(): void {
    if (this.#closed) return;
    if (this.#socket?.readyState === WebSocket.OPEN)
      this.#socket.send(JSON.stringify({ type: 'leave' } satisfies ClientMessage));
    this.#end();
  }

  #end(): void {
    this.#closed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#socket?.close(1000);
    this.#socket = null;
  }

  #connect(hello: ClientMessage): void {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.addEventListener('open', () => socket.send(JSON.stringify(hello)));
    socket.addEventListener('message', (event: MessageEvent<unknown>) => {
      if (socket !== this.#socket || typeof event.data !== 'string') return;
      // Our own server wrote it; its types are the contract.
      this.#receive(JSON.parse(event.data) as ServerMessage);
    });
    socket.addEventListener('close', () => {
      if (socket === this.#socket && !this.#closed) this.#broken();
    });
  }

  #receive(message: ServerMessage): void {
    if (message.type === 'joined')
      this.#resume = { type: 'resume', sessionId: message.self.sessionId, secret: message.secret };
    if (message.type === 'fatal') this.#end();
    if (message.type === 'resumed') {
      this.#brokenSince = null;
      for (const waiting of this.#waiting.splice(0)) this.send(waiting);
    }
    this.#events.message(message);
  }

  #broken(): void {
    this.#socket = null;
    const resume = this.#resume;
    const first = this.#brokenSince === null;
    this.#brokenSince ??= performance.now();
    if (!resume || performance.now() - this.#brokenSince > GIVE_UP_AFTER_MS) {
      this.#end();
      return this.#events.lost();
    }
    if (first) this.#events.interrupted();
    // A page timer is good enough: pages of this product run with background throttling off, others come back a second later.
    this.#retry = setTimeout(() => this.#connect(resume), RETRY_EVERY_MS);
  }
}
