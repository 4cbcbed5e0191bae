import { Chromium, type LaunchOptions } from '@tavus-fleet/chromium';
import { FleetError } from '@tavus-fleet/contracts';
import type { Clock } from '@tavus-fleet/lifecycle';
import { BrowserWatch, type Illness } from './browser-watch.ts';

/** What a browser must be for the pool: what Chromium is. */
export type Browser = Pick<
  Chromium,
  'pid' | 'exited' | 'openPage' | 'memoryBytes' | 'processes' | 'answer' | 'kill' | 'close'
>;
/** A session's room as the pool sees it. */
export type Tenant = {
  readonly closed: Promise<unknown>;
  browserFailed(reason: string): void;
  close(): Promise<void>;
};
/** A browser that came to a bad end or is not trusted with more: for the operator. Pids are of this machine. */
export type BrowserIncident = {
  readonly what: 'died' | 'not-started' | 'hung' | 'bloated' | 'page-bloated';
  readonly sessions: number;
  readonly detail: string;
};

export type BrowserPoolOptions = {
  readonly chromium?: LaunchOptions | undefined;
  readonly sessionsPerBrowser: number;
  /** A browser that has served so many sessions takes no more and goes when it is empty. */
  readonly sessionsUntilRetired: number;
  /** Unshared memory of one page's process that is too much. */
  readonly maxPageBytes: number;
  readonly log: (line: string) => void;
  readonly onIncident: (incident: BrowserIncident) => void;
  readonly clock: Clock;
  /** Where browsers come from; tests of the rules bring their own. */
  readonly launch?: (options: LaunchOptions, signal: AbortSignal) => Promise<Browser>;
  /** Ends one process; tests of the rules have none. */
  readonly kill?: (pid: number) => void;
};

/** One browser and who sits in it. */
export type Slot = {
  readonly browser: Promise<Browser>;
  running?: Browser;
  readonly tenants: Set<Tenant>;
  opening: number;
  served: number;
  /** Takes no more sessions. */
  retired: boolean;
  /** Killed by us for not answering. */
  killed: boolean;
  /** Being closed. */
  leaving: boolean;
  gone: boolean;
};

/**
 * The browsers of a worker. One that died is dropped at once and its sessions hear of it; one that does not answer for 4 s is
 * killed, which is the same; a page that holds too much memory is killed alone. What is shared by all and too big, or has served
 * many, takes no more sessions and goes when it is empty. An empty browser stays only while it is the last one. One `close` ends everything.
 */
export class BrowserPool {
  readonly #options: BrowserPoolOptions;
  readonly #slots = new Set<Slot>();
  readonly #over = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(options: BrowserPoolOptions) {
    this.#options = options;
  }

  /** Aborts when the pool closes. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Process ids of the browsers that run. */
  get pids(): readonly number[] {
    return [...this.#slots].flatMap(({ running }) => (running ? [running.pid] : []));
  }

  /** A browser with a free place, reserved until `release`. The fullest is taken, so that others become empty and can go. */
  reserve(): Slot {
    const free = [...this.#slots]
      .filter(
        (slot) =>
          !slot.retired &&
          !slot.leaving &&
          !slot.killed &&
          slot.tenants.size + slot.opening < this.#options.sessionsPerBrowser,
      )
      .toSorted((a, b) => b.tenants.size - a.tenants.size);
    const slot = free[0] ?? this.launch();
    slot.opening += 1;
    slot.served += 1;
    if (slot.served >= this.#options.sessionsUntilRetired) slot.retired = true;
    return slot;
  }

  /** Gives the reserved place back; a room that was opened there is added before. */
  release(slot: Slot): void {
    slot.opening -= 1;
    this.#tidy();
  }

  add(slot: Slot, tenant: Tenant): void {
    slot.tenants.add(tenant);
    // The browser went between the page's last answer and now: nobody else would tell it.
    if (slot.gone) tenant.browserFailed(goneReason);
    void this.#untilClosed(slot, tenant);
  }

  /** Starts one, whether it is needed or not. */
  launch(): Slot {
    const { chromium, log, launch = (options, signal) => Chromium.launch(options, signal) } = this.#options;
    const browser = launch({ log, ...chromium }, this.#over.signal);
    const slot: Slot = {
      browser,
      tenants: new Set(),
      opening: 0,
      served: 0,
      retired: false,
      killed: false,
      leaving: false,
      gone: false,
    };
    this.#slots.add(slot);
    void this.#run(slot);
    return slot;
  }

  async memoryBytes(): Promise<number> {
    const sizes = await Promise.all([...this.#slots].map(async ({ running }) => running?.memoryBytes() ?? 0));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#over.abort(new FleetError('browser-failed', 'The rooms are closed.'));
    const slots = [...this.#slots];
    await Promise.allSettled(slots.flatMap(({ tenants }) => [...tenants]).map((tenant) => tenant.close()));
    await Promise.allSettled(slots.map(closeBrowser));
  }

  async #run(slot: Slot): Promise<void> {
    const { clock, maxPageBytes } = this.#options;
    try {
      slot.running = await slot.browser;
      const watch = new BrowserWatch(slot.running, {
        maxPageBytes,
        onIll: (illness) => this.#treat(slot, illness),
        clock,
      });
      const { asked, code, signal } = await slot.running.exited;
      watch.close();
      if (!asked && !slot.killed) this.#tell(slot, 'died', `code ${code}, signal ${signal}`);
    } catch (error) {
      if (!this.#over.signal.aborted)
        this.#tell(slot, 'not-started', error instanceof Error ? error.message : String(error)); // `open` rejects with the same
    }
    slot.gone = true;
    this.#slots.delete(slot);
    for (const tenant of slot.tenants) tenant.browserFailed(goneReason);
  }

  #treat(slot: Slot, illness: Illness): void {
    const { kill = killProcess } = this.#options;
    const megabytes = 'bytes' in illness ? `${Math.round(illness.bytes / 2 ** 20)} MB` : '';
    if (illness.what === 'hung') {
      this.#tell(slot, 'hung', 'it did not answer');
      slot.killed = true;
      slot.running?.kill();
    } else if (illness.what === 'page-bloated') {
      this.#tell(slot, 'page-bloated', `process ${illness.pid}: ${megabytes}`);
      kill(illness.pid); // its page says `page-crashed`; the others have processes of their own
    } else if (!slot.retired) {
      this.#tell(slot, 'bloated', `shared processes: ${megabytes}`);
      slot.retired = true;
      this.#tidy();
    }
  }

  #tell(slot: Slot, what: BrowserIncident['what'], detail: string): void {
    this.#options.onIncident({ what, sessions: slot.tenants.size, detail });
  }

  async #untilClosed(slot: Slot, tenant: Tenant): Promise<void> {
    await tenant.closed;
    slot.tenants.delete(tenant);
    this.#tidy();
  }

  /** Closes empty browsers: those that are retired, and of the others all but one. */
  #tidy(): void {
    const staying = [...this.#slots].filter(({ leaving }) => !leaving);
    const empty = staying.filter((slot) => slot.tenants.size + slot.opening === 0);
    let usable = staying.filter(({ retired }) => !retired).length;
    for (const slot of empty) {
      if (!slot.retired && usable <= 1) continue;
      if (!slot.retired) usable -= 1;
      slot.leaving = true;
      void closeBrowser(slot);
    }
    // The next session should not wait for a browser to start because the last one was just recycled.
    if (usable === 0 && empty.length > 0 && !this.#over.signal.aborted) this.launch();
  }
}

const goneReason = 'The browser of this session is gone.';

async function closeBrowser({ browser }: Slot): Promise<void> {
  try {
    await (await browser).close();
  } catch {
    // It never started: whoever watches the slot has said so.
  }
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error; // ESRCH: it went by itself
  }
}
