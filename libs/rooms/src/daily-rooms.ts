import type { LaunchOptions } from '@tavus-fleet/chromium';
import { FleetError } from '@tavus-fleet/contracts';
import { firstOf, sleep, systemClock, withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import { BrowserPool, type BrowserIncident, type Slot } from './browser-pool.ts';
import { DailyRoom } from './daily-room.ts';
import { PageServer } from './page-server.ts';
import type { Room, Rooms } from './port.ts';
import type { Hello } from './wire.ts';

export type DailyRoomsOptions = {
  /** How to start Chromium; see libs/chromium. */
  readonly chromium?: LaunchOptions;
  /** Folder of the call machine's bundle; empty or absent: Daily's own CDN. */
  readonly bundleUrl?: string;
  /** Sessions that share one browser, so also its network service: what dies together. Default 10. */
  readonly sessionsPerBrowser?: number;
  /** A browser that has served so many sessions is replaced as soon as it is empty. Default 200. */
  readonly sessionsUntilRetired?: number;
  /** A page whose process holds more unshared memory is killed, bytes. Default 1 GiB: a session needs a tenth of it. */
  readonly maxPageBytes?: number;
  /** Default: told to `log`. */
  readonly onIncident?: (incident: BrowserIncident) => void;
  /** Start the first browser at once instead of with the first session. */
  readonly prewarm?: boolean;
  readonly log?: (line: string) => void;
  readonly clock?: Clock;
  /** For tests only: each console line of a page. */
  readonly onConsole?: (text: string) => void;
};

const openTimeoutMs = 45_000;
const exitGraceMs = 200;
const gone = (): FleetError => new FleetError('browser-failed', 'The browser went while the page opened, twice.');
const startPage = '(hello) => globalThis.tavusFleet.start(hello)';

/** Makes rooms on real Chromium and the real daily-js. Nothing is started until it is needed, unless `prewarm`. */
export async function createDailyRooms(options: DailyRoomsOptions = {}): Promise<DailyRooms> {
  const server = await PageServer.start({
    bundleUrl: options.bundleUrl ?? '',
    ...(options.clock ? { clock: options.clock } : {}),
  });
  return new DailyRooms(server, options);
}

/** Opens rooms in the browsers of a pool. One `close` ends everything. */
export class DailyRooms implements Rooms {
  readonly #server: PageServer;
  readonly #options: DailyRoomsOptions;
  readonly #pool: BrowserPool;
  readonly #log: (line: string) => void;
  #closing: Promise<void> | undefined;

  /** Use `createDailyRooms`. */
  constructor(server: PageServer, options: DailyRoomsOptions) {
    this.#server = server;
    this.#options = options;
    this.#log = options.log ?? (() => undefined);
    this.#pool = new BrowserPool({
      chromium: options.chromium,
      sessionsPerBrowser: options.sessionsPerBrowser ?? 10,
      sessionsUntilRetired: options.sessionsUntilRetired ?? 200,
      maxPageBytes: options.maxPageBytes ?? 1024 * 2 ** 20,
      log: this.#log,
      onIncident:
        options.onIncident ??
        (({ what, sessions, detail }) => this.#log(`browser ${what} (${sessions} sessions): ${detail}`)),
      clock: options.clock ?? systemClock,
    });
    if (options.prewarm) this.#pool.launch();
  }

  async open(identity: { conversationId: string; epoch: number }, signal: AbortSignal): Promise<Room> {
    if (this.#pool.over.aborted) throw new FleetError('browser-failed', 'The rooms are closed.');
    const merged = AbortSignal.any([signal, this.#pool.over]);
    const late = (room: Room): void => void room.close(); // nobody was told of it
    return withDeadline(
      { signal: merged, ms: openTimeoutMs, what: 'Opening a session page', code: 'browser-failed', late },
      async (inner) => {
        const first = await this.#tryOpen(identity, inner);
        // A browser that dies while a page opens in it says nothing about the session: another one may try, once.
        return first ?? (await this.#tryOpen(identity, inner)) ?? Promise.reject(gone());
      },
    );
  }

  /** Process ids of the browsers that run: for fault tests and the debug page. */
  get browserPids(): readonly number[] {
    return this.#pool.pids;
  }

  memoryBytes(): Promise<number> {
    return this.#pool.memoryBytes();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#pool.close();
    await this.#server.close();
  }

  /** Undefined: the browser, which had started, went meanwhile. */
  async #tryOpen(
    identity: { conversationId: string; epoch: number },
    signal: AbortSignal,
  ): Promise<DailyRoom | undefined> {
    const slot = this.#pool.reserve();
    try {
      return await this.#openIn(slot, identity, signal);
    } catch (error) {
      if (signal.aborted || !(await this.#went(slot))) throw error;
      return undefined;
    } finally {
      this.#pool.release(slot);
    }
  }

  /** Its pipe closes a moment before its exit is known. */
  async #went({ running }: Slot): Promise<boolean> {
    if (!running) return false;
    const soon = sleep(this.#options.clock ?? systemClock, exitGraceMs).then(() => false);
    return firstOf([running.exited.then(() => true), soon]);
  }

  async #openIn(
    slot: Slot,
    identity: { conversationId: string; epoch: number },
    signal: AbortSignal,
  ): Promise<DailyRoom> {
    const browser = await slot.browser;
    const onConsole = this.#options.onConsole;
    const page = await browser.openPage(this.#server.url, signal, onConsole ? { onConsole } : {});
    try {
      // Own signal: whatever fails below, the token must not stay valid.
      const unused = new AbortController();
      const { token, socket } = this.#server.expect(identity, AbortSignal.any([signal, unused.signal]));
      const hello: Hello = { token, identity, bundleUrl: this.#options.bundleUrl ?? '' };
      try {
        // The page's start resolves only after our welcome, which the channel sends: so it is watched for failure, not waited for.
        const started = page.call(startPage, [hello], signal);
        const accepted = await firstOf([socket, started.then(() => socket)]);
        const room = new DailyRoom({
          page,
          socket: accepted,
          identity,
          clock: this.#options.clock ?? systemClock,
          log: this.#log,
        });
        await started;
        signal.throwIfAborted();
        this.#pool.add(slot, room);
        return room;
      } finally {
        unused.abort(new FleetError('deadline-exceeded', 'The page did not connect.'));
      }
    } catch (error) {
      await page.close();
      throw error;
    }
  }
}
