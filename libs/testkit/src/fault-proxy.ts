import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/**
 * A way to a server on loopback that can fail as networks do. What a silent network swallows is sent again by TCP when it is back, so
 * what waited comes through after `heal`; `forget` is the firewall that does not know the old connections any more.
 */
export class FaultProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #silent = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(targetPort: number): Promise<FaultProxy> {
    const server = createServer();
    const proxy = new FaultProxy(server);
    server.on('connection', (client) => proxy.#join(client, connect(targetPort, '127.0.0.1')));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // safe: it listens on a port
  }

  /** From now on sockets open and stay open, and not a byte passes in either direction. */
  silence(): void {
    this.#silent = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Bytes pass again, those that waited first. */
  heal(): void {
    this.#silent = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** The connections there are stay open and mute for good; new ones get through. */
  forget(): void {
    for (const socket of this.#sockets) socket.removeAllListeners('data').resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, upstream: Socket): void {
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => from.destroy());
      from.on('data', (bytes) => void to.write(bytes));
      from.on('close', () => {
        this.#sockets.delete(from);
        // In silence nobody learns that the other has gone.
        if (!this.#silent) to.destroy();
      });
      if (this.#silent) from.pause();
    }
  }
}
