import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a local TCP server whose open connections can be made mute for good: open, and no byte comes. New ones get through. */
export class SilentProxy implements Disposable {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #pairs: Set<() => void>;

  private constructor(parts: { port: number; server: Server; sockets: Set<Socket>; pairs: Set<() => void> }) {
    this.port = parts.port;
    this.#server = parts.server;
    this.#sockets = parts.sockets;
    this.#pairs = parts.pairs;
  }

  static async start(targetPort: number): Promise<SilentProxy> {
    const sockets = new Set<Socket>();
    const pairs = new Set<() => void>();
    const server = createServer((client) => {
      const upstream = connect(targetPort, '127.0.0.1');
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => sockets.delete(socket));
      }
      client.pipe(upstream);
      upstream.pipe(client);
      pairs.add(() => {
        client.unpipe(upstream).resume();
        upstream.unpipe(client).resume();
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('The system gave no port.');
    return new SilentProxy({ port: address.port, server, sockets, pairs });
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Every connection that is open now says and hears nothing any more. */
  mute(): void {
    for (const each of this.#pairs) each();
    this.#pairs.clear();
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
