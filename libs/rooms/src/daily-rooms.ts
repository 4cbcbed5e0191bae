import { Chromium, type LaunchOptions } from '@tavus-fleet/chromium';
import { FleetError } from '@tavus-fleet/contracts';
import { firstOf, systemClock, withDeadline, type Clock } from '@tavus-fleet/lifecycle';
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
  /** Start the first browser at once instead of with the first session. */
  readonly prewarm?: boolean;
  readonly log?: (line: string) => void;
  readonly clock?: Clock;
  /** For tests only: each console line of a page. */
  readonly onConsole?: (text: string) => void;
};

type Slot = { readonly browser: Promise<Chromium>; pid?: number; readonly rooms: Set<DailyRoom>; opening: number };

const openTimeoutMs = 45_000;
const startPage = '(hello) => globalThis.tavusFleet.start(hello)';

/** Makes rooms on real Chromium and the real daily-js. Nothing is started until it is needed, unless `prewarm`. */
export async function createDailyRooms(options: DailyRoomsOptions = {}): Promise<DailyRooms> {
  const server = await PageServer.start({
    bundleUrl: options.bundleUrl ?? '',
    ...(options.clock ? { clock: options.clock } : {}),
  });
  return new DailyRooms(server, options);
}

/**
 * The browsers and which session sits in which. A browser that died is dropped at once and its sessions hear of it; the next
 * `open` starts another. An empty browser stays only while it is the last one. One `close` ends everything.
 */
export class DailyRooms implements Rooms {
  readonly #server: PageServer;
  readonly #options: DailyRoomsOptions;
  readonly #slots = new Set<Slot>();
  readonly #over = new AbortController();
  readonly #log: (line: string) => void;
  #closing: Promise<void> | undefined;

  /** Use `createDailyRooms`. */
  constructor(server: PageServer, options: DailyRoomsOptions) {
    this.#server = server;
    this.#options = options;
    this.#log = options.log ?? (() => undefined);
    if (options.prewarm) this.#launch();
  }

  async open(identity: { conversationId: string; epoch: number }, signal: AbortSignal): Promise<Room> {
    if (this.#over.signal.aborted) throw new FleetError('browser-failed', 'The rooms are closed.');
    const merged = AbortSignal.any([signal, this.#over.signal]);
    const slot = this.#freeSlot();
    slot.opening += 1;
    try {
      return await withDeadline(
        { signal: merged, ms: openTimeoutMs, what: 'Opening a session page', code: 'browser-failed' },
        (inner) => this.#openIn(slot, identity, inner),
      );
    } finally {
      slot.opening -= 1;
      this.#tidy();
    }
  }

  /** Process ids of the browsers that run: for fault tests and the debug page. */
  get browserPids(): readonly number[] {
    return [...this.#slots].flatMap((slot) => (slot.pid === undefined ? [] : [slot.pid]));
  }

  async memoryBytes(): Promise<number> {
    const sizes = await Promise.all(
      [...this.#slots].map(async (slot) => (await slot.browser.catch(() => undefined))?.memoryBytes() ?? 0),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#over.abort(new FleetError('browser-failed', 'The rooms are closed.'));
    const slots = [...this.#slots];
    await Promise.allSettled(slots.flatMap((slot) => [...slot.rooms]).map((room) => room.close()));
    await Promise.allSettled(slots.map(async (slot) => (await slot.browser).close()));
    await this.#server.close();
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
        this.#adopt(slot, room);
        return room;
      } finally {
        unused.abort(new FleetError('deadline-exceeded', 'The page did not connect.'));
      }
    } catch (error) {
      await page.close();
      throw error;
    }
  }

  #adopt(slot: Slot, room: DailyRoom): void {
    slot.rooms.add(room);
    void this.#release(slot, room);
  }

  async #release(slot: Slot, room: DailyRoom): Promise<void> {
    await room.closed;
    slot.rooms.delete(room);
    this.#tidy();
  }

  #freeSlot(): Slot {
    const most = this.#options.sessionsPerBrowser ?? 10;
    // The fullest that still has a place: so that others become empty and can go.
    const free = [...this.#slots]
      .filter((slot) => slot.rooms.size + slot.opening < most)
      .toSorted((a, b) => b.rooms.size - a.rooms.size);
    return free[0] ?? this.#launch();
  }

  #launch(): Slot {
    const browser = Chromium.launch({ log: this.#log, ...this.#options.chromium }, this.#over.signal);
    const slot: Slot = { browser, rooms: new Set(), opening: 0 };
    this.#slots.add(slot);
    void this.#watch(slot);
    return slot;
  }

  async #watch(slot: Slot): Promise<void> {
    try {
      const browser = await slot.browser;
      slot.pid = browser.pid;
      const { asked, code, signal } = await browser.exited;
      if (!asked)
        this.#log(`Chromium ended by itself (code ${code}, signal ${signal}) with ${slot.rooms.size} sessions`);
    } catch (error) {
      this.#log(`Chromium did not start: ${error instanceof Error ? error.message : String(error)}`); // `open` rejects with the same
    }
    this.#slots.delete(slot);
    for (const room of slot.rooms) room.browserFailed('The browser of this session is gone.');
  }

  /** Closes empty browsers beyond the last one. */
  #tidy(): void {
    for (const slot of this.#slots) {
      if (this.#slots.size <= 1 || slot.rooms.size + slot.opening > 0) continue;
      this.#slots.delete(slot);
      void slot.browser.then((browser) => browser.close());
    }
  }
}
