import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export type StubRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
};
export type StubAnswer = {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
};
type Handler = (request: StubRequest, response: ServerResponse) => StubAnswer | 'hang' | 'reset' | Promise<StubAnswer>;

/** For tests: an HTTP server on a free local port that answers as told and remembers what it was asked. */
export class StubServer implements AsyncDisposable {
  readonly requests: StubRequest[] = [];
  readonly url: string;
  handler: Handler = () => ({ status: 500 });
  readonly #server: ReturnType<typeof createServer>;
  readonly #waiting: (() => void)[] = [];

  private constructor(server: ReturnType<typeof createServer>, port: number) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}`;
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<StubServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return new StubServer(server, address.port);
  }

  /** Resolves when the next request has arrived. */
  arrived(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(Buffer.from(part));
    const request = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: incoming.headers,
      body: Buffer.concat(parts).toString('utf8'),
    };
    this.requests.push(request);
    for (const resolve of this.#waiting.splice(0)) resolve();
    const answer = await this.handler(request, response);
    if (answer === 'hang') return;
    if (answer === 'reset') return void incoming.socket.destroy();
    const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {});
    response.writeHead(answer.status ?? 200, answer.headers).end(text);
  }
}
