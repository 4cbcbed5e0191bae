import { createServer, type Server } from 'node:http';
import { once } from 'node:events';

/**
 * Counts what the browsers want from outside: they are told that this is their proxy, and it refuses everything. Loopback
 * does not pass through a proxy (Chromium's own rule), so anything that arrives here was meant for somebody else.
 */
export class OutsideWatch implements AsyncDisposable {
  readonly #server: Server;
  readonly url: string;
  readonly hosts: string[] = [];

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  static async start(): Promise<OutsideWatch> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('The system gave no port.');
    const watch = new OutsideWatch(server, `http://127.0.0.1:${address.port}`);
    server.on('connect', (request, socket) => {
      watch.hosts.push(request.url ?? '');
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    });
    server.on('request', (request, response) => {
      watch.hosts.push(request.headers.host ?? '');
      response.writeHead(403).end();
    });
    return watch;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
