import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A way to a local TCP server that can fail without a word: `mute` makes the connections that are open now mute for good, while new ones
 * get through; `cut` does the same to those that come as well, until `mend`. Rejected alternative: rules in the system's packet
 * filter, which need root and strike everybody's connections.
 */
export class SilentProxy implements Disposable {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Of each connection that is open and heard. */
  readonly #mutes = new Set<() => void>();
  #isCut = false;
  /** Connections that came while it was cut. */
  met = 0;

  private constructor(server: Server, port: number, targetPort: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (client) => this.#accept(client, targetPort));
  }

  static async start(targetPort: number): Promise<SilentProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('The system gave no port.');
    return new SilentProxy(server, address.port, targetPort);
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Every connection that is open now says and hears nothing any more. */
  mute(): void {
    for (const mute of this.#mutes) mute();
    this.#mutes.clear();
  }

  /** Nothing gets through, on no connection, old or new; who connects is accepted and hears nothing. */
  cut(): void {
    this.#isCut = true;
    this.mute();
  }

  /** New connections get through again. Those of before are as mute as ever. */
  mend(): void {
    this.#isCut = false;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #accept(client: Socket, targetPort: number): void {
    this.#keep(client);
    if (this.#isCut) {
      this.met += 1;
      return void client.resume();
    }
    const upstream = this.#keep(connect(targetPort, '127.0.0.1'));
    client.pipe(upstream);
    upstream.pipe(client);
    let isMute = false;
    const mute = (): void => {
      isMute = true;
      client.unpipe(upstream).resume();
      upstream.unpipe(client).resume();
    };
    this.#mutes.add(mute);
    // A server that is gone closes its connections, unless nothing is heard of it any more.
    upstream.on('close', () => {
      this.#mutes.delete(mute);
      if (!isMute) client.destroy();
    });
    client.on('close', () => upstream.destroy());
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }
}
