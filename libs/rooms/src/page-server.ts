import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { bundlePage } from '@tavus-fleet/chromium';
import { FleetError } from '@tavus-fleet/contracts';
import { systemClock, type Clock } from '@tavus-fleet/lifecycle';
import { WebSocketServer, type WebSocket } from 'ws';
import { maxMediaBytes } from './media-message.ts';
import { FromPage, type Identity } from './wire.ts';

const html =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>session</title><script src="/main.js" defer></script></html>';
const helloTimeoutMs = 10_000;
const maxStrangers = 64;
/** Pictures are the longest that a page sends. An app message may be 100 000 characters where a room allows it. */
const maxPayloadBytes = maxMediaBytes;

type Files = ReadonlyMap<string, { readonly type: string; readonly body: string }>;
type Expected = { readonly identity: Identity; readonly accept: (socket: WebSocket) => void };

/**
 * Serves one page, its scripts and its channel on a port of its own, on 127.0.0.1 only. There is no directory behind it. A
 * socket is nobody's until its first message carries a token that was given out, once, within 10 s.
 */
export class PageServer {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #clock: Clock;
  // By the token's hash: comparing the token itself byte by byte would tell a local program how far its guess was right.
  readonly #expected = new Map<string, Expected>();
  readonly #files: Files;
  readonly #policy: string;
  #strangers = 0;
  #closing: Promise<void> | undefined;

  /** Bundles the page's code and listens on a free port. `bundleUrl` as in `createDailyRooms`. */
  static async start(options: { bundleUrl: string; clock?: Clock }): Promise<PageServer> {
    const entry = (name: string): string => fileURLToPath(new URL(`./page/${name}.ts`, import.meta.url));
    const [main, worker, worklet] = await Promise.all([
      bundlePage(entry('main'), { format: 'iife' }),
      bundlePage(entry('worker'), { format: 'esm' }),
      bundlePage(entry('worklet'), { format: 'iife' }),
    ]);
    const script = (body: string) => ({ type: 'text/javascript; charset=utf-8', body });
    const files = new Map([
      ['/', { type: 'text/html; charset=utf-8', body: html }],
      ['/main.js', script(main)],
      ['/worker.js', script(worker)],
      ['/worklet.js', script(worklet)],
    ]);
    const server = new PageServer(files, contentPolicy(options.bundleUrl), options.clock ?? systemClock);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  private constructor(files: Files, policy: string, clock: Clock) {
    this.#files = files;
    this.#policy = policy;
    this.#clock = clock;
    this.#sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: maxPayloadBytes });
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  get url(): string {
    return `http://${this.#host}/`;
  }

  /** Gives out a token for one socket. `socket` resolves when a page has shown it; it rejects only with the signal. */
  expect(identity: Identity, signal: AbortSignal): { token: string; socket: Promise<WebSocket> } {
    const token = randomBytes(32).toString('base64url');
    const key = hash(token);
    const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
    const stop = (): void => {
      this.#expected.delete(key);
      reject(signal.reason);
    };
    signal.addEventListener('abort', stop, { once: true });
    this.#expected.set(key, {
      identity,
      accept: (socket) => {
        signal.removeEventListener('abort', stop);
        resolve(socket);
      },
    });
    return { token, socket: promise };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#expected.clear();
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  get #host(): string {
    const address = this.#server.address();
    if (address === null) throw new FleetError('internal', 'The page server is closed.');
    // A TCP server's address is never a string (that is a pipe's).
    return `127.0.0.1:${(address as AddressInfo).port}`;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const file = request.method === 'GET' ? this.#files.get(request.url ?? '') : undefined;
    // Host: a name that a stranger points at 127.0.0.1 must find nothing here (DNS rebinding).
    if (!file || request.headers.host !== this.#host) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'content-type': file.type,
      'cache-control': 'no-store',
      'content-security-policy': this.#policy,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
    response.end(file.body);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const isOurs =
      request.url === '/channel' &&
      request.headers.host === this.#host &&
      request.headers.origin === `http://${this.#host}`;
    if (!isOurs || this.#strangers >= maxStrangers) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (opened) => this.#meet(opened));
  }

  #meet(socket: WebSocket): void {
    this.#strangers += 1;
    const timer = this.#clock.after(helloTimeoutMs, () => socket.terminate());
    const known = (): void => {
      timer[Symbol.dispose]();
      socket.off('close', known);
      this.#strangers -= 1;
    };
    socket.on('error', () => socket.terminate()); // too large, not UTF-8, …: all the same from a stranger
    socket.once('close', known);
    socket.once('message', (data, isBinary) => {
      // `ws` gives a Buffer unless told otherwise (binaryType is left at nodebuffer).
      const expected = isBinary ? undefined : this.#recognise((data as Buffer).toString('utf8'));
      if (!expected) return socket.terminate();
      known();
      expected.accept(socket);
    });
  }

  #recognise(text: string): Expected | undefined {
    const hello = parseFromPage(text);
    if (hello?.type !== 'hello') return undefined;
    const key = hash(hello.token);
    const expected = this.#expected.get(key);
    this.#expected.delete(key); // a token is used once, also when the rest is wrong
    const isSame =
      expected?.identity.conversationId === hello.identity.conversationId &&
      expected.identity.epoch === hello.identity.epoch;
    return isSame ? expected : undefined;
  }
}

/** Parses one text message of a page; undefined: not of the protocol. */
export function parseFromPage(text: string): FromPage | undefined {
  try {
    return FromPage.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // not JSON
  }
}

function hash(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}

/**
 * Only our scripts and the call machine run, and the page reaches only us and the machine's hosts (documented by Daily; its error
 * reports to a third party stay blocked). A machine of one's own may have its room server on another port of its host.
 */
function contentPolicy(bundleUrl: string): string {
  const daily = ['daily.co', 'dailywebrtc.com', 'dailywebrtc.net'];
  const own = bundleUrl === '' ? undefined : new URL(bundleUrl);
  const scripts = own?.origin ?? daily.map((host) => `https://*.${host}`).join(' ');
  const connections = own
    ? `${own.protocol}//${own.hostname}:* ${own.protocol.replace('http', 'ws')}//${own.hostname}:*`
    : daily.map((host) => `https://*.${host} wss://*.${host}`).join(' ');
  return [
    "default-src 'none'",
    `script-src 'self' ${scripts}`,
    `connect-src 'self' ${connections}`,
    "worker-src 'self' blob:",
    "media-src 'self' blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
