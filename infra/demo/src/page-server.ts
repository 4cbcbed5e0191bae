import { createServer, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { SeenEvent } from './fleet.ts';

const asset = (name: string): Buffer => readFileSync(new URL(`./page/${name}`, import.meta.url));
const files = new Map([
  ['/', { type: 'text/html; charset=utf-8', body: asset('index.html') }],
  ['/demo.js', { type: 'text/javascript; charset=utf-8', body: asset('demo.js') }],
  ['/demo.css', { type: 'text/css; charset=utf-8', body: asset('demo.css') }],
]);

/**
 * The demo's own page on loopback: the user room in a frame, and below it what the backend learns, live. Events come from this
 * process, so that the API key never reaches a browser.
 */
export class DemoPage implements AsyncDisposable {
  readonly url: string;
  readonly #server: Server;
  readonly #readers = new Set<ServerResponse>();
  readonly #past: string[] = [];

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  static async start(watchUrl: string): Promise<DemoPage> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('The system gave no port.');
    const page = new DemoPage(server, `http://127.0.0.1:${address.port}/`);
    const host = `127.0.0.1:${address.port}`;
    server.on('request', (request, response) => {
      if (request.headers.host !== host) return void response.writeHead(403).end();
      response.setHeader(
        'content-security-policy',
        `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src ${new URL(watchUrl).origin}`,
      );
      if (request.url === '/watch')
        return void response.setHeader('content-type', 'application/json').end(JSON.stringify({ url: watchUrl }));
      if (request.url === '/events') return page.#stream(response);
      const file = files.get(request.url ?? '');
      if (!file) return void response.writeHead(404).end();
      response.setHeader('content-type', file.type).end(file.body);
    });
    return page;
  }

  tell({ type, atMs, data }: SeenEvent): void {
    const text = `data: ${JSON.stringify({ type, atMs, data })}\n\n`;
    this.#past.push(text);
    if (this.#past.length > 200) this.#past.shift();
    for (const reader of this.#readers) reader.write(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const reader of this.#readers) reader.end();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #stream(response: ServerResponse): void {
    response.setHeader('content-type', 'text/event-stream').write(this.#past.join(''));
    this.#readers.add(response);
    response.once('close', () => this.#readers.delete(response));
  }
}
