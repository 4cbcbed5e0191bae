/** A simulator's rooms on a port of their own, a stranger's website on another, and one browser for the strangers. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { bundlePage, findChromium } from '@tavus-fleet/chromium';
import {
  createDailyRooms,
  createReplicas,
  registerRoomPages,
  type DailyServer,
  type Replica,
  type ReplicaOptions,
  type Replicas,
} from '@tavus-fleet/simulator/rooms';
import Fastify from 'fastify';
import { chromium, type Browser, type Page } from 'playwright-core';

/** What a stranger's page tells of a daily-js event. */
export type Told = { readonly name: string; readonly event?: string; readonly error?: string; readonly data?: unknown };

/** A page of the strangers' website (stranger.js), driven by the names of its functions. */
export class Stranger {
  readonly #page: Page;
  readonly #bundle: string;

  constructor(page: Page, bundle: string) {
    this.#page = page;
    this.#bundle = bundle;
  }

  join(url: string, name: string, options: Record<string, unknown> = {}): Promise<string> {
    return this.run('join', this.#bundle, url, name, options);
  }

  run<T = unknown>(name: string, ...args: unknown[]): Promise<T> {
    return this.#page.evaluate(
      ([name, args]) => {
        // stranger.js put it there; what its functions give is named by the caller.
        const { site } = globalThis as unknown as { site: Record<string, (...args: unknown[]) => unknown> };
        return site[name]?.(...args) as T;
      },
      [name, args] as const,
    );
  }

  events(): Promise<Told[]> {
    // The same as above: an array of plain records.
    return this.#page.evaluate(() => (globalThis as unknown as { site: { events: Told[] } }).site.events);
  }

  close(): Promise<void> {
    return this.#page.context().close();
  }
}

export type World = {
  readonly origin: string;
  readonly rooms: DailyServer;
  readonly replicas: Replicas;
  /** URLs outside this machine that a page asked for. */
  readonly outside: string[];
  /** A page of a website of its own. */
  stranger(): Promise<Stranger>;
  page(url: string): Promise<Page>;
  replica(room: string, options?: Partial<ReplicaOptions>): Promise<Replica>;
  close(): Promise<void>;
};

export async function createWorld(): Promise<World> {
  await using started = new AsyncDisposableStack();
  const rooms = createDailyRooms();
  started.defer(() => rooms.shutDown());
  const app = Fastify();
  await registerRoomPages(app, { rooms });
  app.server.on('upgrade', (request, socket, head) => {
    if (!rooms.handleUpgrade(request, socket, head)) socket.destroy();
  });
  const origin = await app.listen({ host: '127.0.0.1', port: 0 });
  started.defer(() => app.close());
  const replicas = createReplicas({ rooms, origin: () => origin });
  started.defer(() => replicas.close());
  const website = await strangersWebsite();
  started.defer(() => new Promise<void>((resolve) => website.close(() => resolve())));
  const browser = await launchBrowser();
  started.defer(() => browser.close());
  const outside: string[] = [];

  const open = async (url: string): Promise<Page> => {
    // Camera permission: nothing is captured, but ICE then offers real addresses.
    const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
    const page = await context.newPage();
    page.on('request', (request) => {
      const { hostname, protocol } = new URL(request.url());
      if (protocol.startsWith('http') && hostname !== '127.0.0.1') outside.push(request.url());
    });
    await page.goto(url);
    return page;
  };
  const held = started.move();
  return {
    origin,
    rooms,
    replicas,
    outside,
    page: open,
    stranger: async () => new Stranger(await open(`http://127.0.0.1:${portOf(website)}/`), `${origin}/daily`),
    replica: (room, options) =>
      replicas.start(
        {
          conversationId: room,
          room,
          userId: `tavus-replica-${room}`,
          userName: 'Avatar',
          hearing: 'stream',
          width: 320,
          height: 180,
          fps: 10,
          delayMs: 100,
          streamPolicy: 'latest',
          audioOnly: false,
          ...options,
        },
        AbortSignal.timeout(30_000),
      ),
    close: () => held.disposeAsync(),
  };
}

async function launchBrowser(): Promise<Browser> {
  const { executablePath, env } = await findChromium();
  return chromium.launch({
    executablePath,
    env,
    chromiumSandbox: false,
    args: [
      '--autoplay-policy=no-user-gesture-required',
      '--allow-loopback-in-peer-connection',
      '--disable-gpu',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
    ],
  });
}

async function strangersWebsite(): Promise<Server> {
  const script = await bundlePage(new URL('./stranger.js', import.meta.url).pathname, { format: 'iife' });
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : '<!doctype html><link rel="icon" href="data:,"><script src="/page.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function portOf(server: Server): number {
  // A listening TCP server's address is never a string.
  return (server.address() as AddressInfo).port;
}

/** Asks until the answer is truthy; fails at the deadline with what was missing. */
export async function until<T>(read: () => Promise<T> | T, what: string, ms = 8_000): Promise<NonNullable<T>> {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await read();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await pause(30);
  }
}

/**
 * Measures until a figure is good enough, three times at most, and gives the last: a busy machine spoils one try, broken
 * code spoils all of them.
 */
export async function measured<T>(measure: () => Promise<T>, isGood: (figure: T) => boolean): Promise<T> {
  let figure = await measure();
  for (let tries = 1; tries < 3 && !isGood(figure); tries += 1) figure = await measure();
  return figure;
}
