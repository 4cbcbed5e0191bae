import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { systemClock, type Clock } from '@tavus-fleet/lifecycle';
import { WebSocketServer, type WebSocket } from 'ws';
import { Connection } from './connection.ts';
import { MAX_WIRE_BYTES, type ServerMessage } from './protocol.ts';
import type { Link } from './room.ts';
import { Rooms } from './rooms.ts';
import { isServedHost } from './room-url.ts';

/** A page that does not read is cut at this many unsent bytes. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;

/** Rooms plus the WebSocket endpoint through which pages enter them. */
export class DailyServer extends Rooms {
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_WIRE_BYTES, perMessageDeflate: false });
  readonly #clock: Clock;
  readonly #handlers = new Map<string, (socket: WebSocket) => void>();
  readonly #onError: (error: unknown) => void;
  readonly #allowedHosts: readonly string[];

  constructor(options: { clock: Clock; onError: (error: unknown) => void; allowedHosts: readonly string[] }) {
    super(options);
    this.#allowedHosts = options.allowedHosts;
    this.#clock = options.clock;
    this.#onError = options.onError;
    this.#handlers.set('/daily/ws', (socket) => this.#accept(socket));
  }

  /** Another WebSocket path of the simulator's pages (the replica's own channel); the same Host rule applies to it. */
  route(path: string, handler: (socket: WebSocket) => void): void {
    this.#handlers.set(path, handler);
  }

  /**
   * For `server.on('upgrade', …)`. Takes `/daily/ws` and the routes added; answers false, touching nothing, for other
   * paths. Only loopback and allowed Host headers are served (any other name that resolves here is DNS rebinding); any Origin is welcome,
   * since users' pages live on other ports.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const handler = this.#handlers.get((request.url ?? '').split('?', 1)[0] ?? '');
    if (!handler) return false;
    if (!isServedHost(request.headers.host, this.#allowedHosts)) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return true;
    }
    this.#sockets.handleUpgrade(request, socket, head, handler);
    return true;
  }

  /** Hangs up on everyone. May be called twice. */
  async shutDown(): Promise<void> {
    this.closeAll();
    for (const socket of this.#sockets.clients) socket.terminate();
    await new Promise<void>((resolve) => this.#sockets.close(() => resolve()));
  }

  #accept(socket: WebSocket): void {
    const connection = new Connection(this, linkOf(socket), this.#clock);
    socket.on('message', (data, isBinary) => {
      if (isBinary) return;
      // ws gives text as one Buffer unless asked otherwise (binaryType nodebuffer).
      connection.receive((data as Buffer).toString('utf8'));
    });
    // 1000 and 1001 are sent by a page that closes or navigates; a killed process or a cut network leaves 1006.
    socket.on('close', (code) => connection.closed(code === 1000 || code === 1001));
    socket.on('error', this.#onError);
  }
}

function linkOf(socket: WebSocket): Link {
  return {
    send(message: ServerMessage) {
      if (socket.readyState !== socket.OPEN) return;
      if (socket.bufferedAmount > MAX_UNSENT_BYTES) return socket.terminate();
      socket.send(JSON.stringify(message));
    },
    cut: () => socket.terminate(),
    hangUp: () => socket.close(1000),
  };
}

/**
 * The rooms of the simulator; wire `handleUpgrade` to its HTTP server. `onError` gets what a socket or a listener threw. With
 * `allowedHosts` they are reached from other machines (containers) too, and so is their media.
 */
export function createDailyRooms(
  options: { clock?: Clock; onError?: (error: unknown) => void; allowedHosts?: readonly string[] } = {},
): DailyServer {
  return new DailyServer({
    clock: options.clock ?? systemClock,
    allowedHosts: options.allowedHosts ?? [],
    onError: options.onError ?? ((error) => process.emitWarning(error instanceof Error ? error : String(error))),
  });
}
