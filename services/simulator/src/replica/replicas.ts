import { Chromium, type Page } from '@tavus-fleet/chromium';
import { withDeadline } from '@tavus-fleet/lifecycle';
import type { DailyServer } from '../daily/server.ts';
import { urlOfRoom } from '../daily/room-url.ts';
import type { Replica, ReplicaOptions, Replicas } from '../ports.ts';
import { ReplicaChannels } from './channel.ts';
import type { ReplicaPageOptions } from './page-options.ts';
import { PageReplica } from './replica.ts';

/** Keeps every packet of the replicas' browser on this machine; also silences daily-js' error reports. */
const HOST_RULES = 'MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost';
const FLAGS = ['--allow-loopback-in-peer-connection'];
const START_TIMEOUT_MS = 20_000;

export type ReplicasOptions = {
  readonly rooms: DailyServer;
  /** Where the simulator's pages are served; asked at each start, since the port may be chosen at listen time. */
  readonly origin: () => string;
  readonly executablePath?: string | undefined;
  readonly sandbox?: 'auto' | 'on' | 'off';
  /** HTTP proxy for what the browser fetches beyond loopback. */
  readonly proxy?: string | undefined;
  readonly log?: (line: string) => void;
};

/**
 * All replicas share one headless Chromium, started with the first of them and again after it died; each has a page, so a
 * renderer, of its own.
 */
export function createReplicas(options: ReplicasOptions): Replicas {
  return new BrowserReplicas(options);
}

class BrowserReplicas implements Replicas {
  readonly #options: ReplicasOptions;
  readonly #channels: ReplicaChannels;
  readonly #live = new Set<PageReplica>();
  readonly #closing = new AbortController();
  #browser: Promise<Chromium> | null = null;

  constructor(options: ReplicasOptions) {
    this.#options = options;
    this.#channels = new ReplicaChannels(options.rooms);
  }

  async start(options: ReplicaOptions, signal: AbortSignal): Promise<Replica> {
    const until = AbortSignal.any([signal, this.#closing.signal]);
    until.throwIfAborted();
    const browser = await untilAborted(this.#launched(), until);
    const pass = this.#options.rooms.admitReplica({ room: options.room, userId: options.userId });
    const replica = new PageReplica(pass, this.#channels);
    try {
      const origin = this.#options.origin();
      const started: ReplicaPageOptions = {
        ...options,
        url: urlOfRoom({ kind: 'tavus', name: options.room }, origin),
        replicaKey: pass.key,
        channelToken: replica.channelToken,
      };
      const page = await browser.openPage(`${origin}/replica/page`, until);
      replica.adopt(page);
      await withDeadline({ signal: until, ms: START_TIMEOUT_MS, what: 'The replica joining its room' }, (inner) =>
        startPage(page, started, inner),
      );
    } catch (error) {
      await replica.stop();
      throw error;
    }
    this.#live.add(replica);
    replica.onStopped(() => this.#live.delete(replica));
    return replica;
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the simulator is closing'));
    await Promise.allSettled([...this.#live].map((replica) => replica.stop()));
    const launched = this.#browser;
    this.#browser = null;
    if (launched) await (await launched).close();
  }

  #launched(): Promise<Chromium> {
    if (this.#browser) return this.#browser;
    const { executablePath, sandbox, proxy, log } = this.#options;
    const launched = Chromium.launch(
      {
        hostRules: HOST_RULES,
        extraArgs: proxy === undefined ? FLAGS : [...FLAGS, `--proxy-server=${proxy}`],
        ...(log ? { log } : {}),
        ...(sandbox ? { sandbox } : {}),
        ...(executablePath === undefined ? {} : { executablePath }),
      },
      // Not the caller's signal: others wait for the same browser.
      this.#closing.signal,
    );
    this.#browser = launched;
    const forget = (): void => {
      if (this.#browser === launched) this.#browser = null;
    };
    launched.then((browser) => browser.exited.then(forget), forget);
    return launched;
  }
}

function startPage(page: Page, options: ReplicaPageOptions, signal: AbortSignal): Promise<unknown> {
  const call = 'function (options) { return globalThis.replica.start(options); }';
  return page.call(call, [options], signal, START_TIMEOUT_MS);
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return withDeadline({ signal, ms: 30_000, what: 'Starting the replicas’ browser' }, () => promise);
}
