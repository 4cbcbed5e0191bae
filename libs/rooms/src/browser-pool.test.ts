import type { BrowserProcess } from '@tavus-fleet/chromium';
import { FakeClock, Latch } from '@tavus-fleet/lifecycle';
import { describe, expect, it } from 'vitest';
import { BrowserPool, type Browser, type BrowserIncident, type Slot, type Tenant } from './browser-pool.ts';

const MB = 2 ** 20;

/** A browser without pages: answers until told not to, has the processes it is given, can be killed. */
class OwnBrowser implements Browser {
  readonly pid: number;
  readonly #gone = new Latch<{ asked: boolean; code: number | null; signal: string | null }>();
  readonly exited = this.#gone.promise;
  answers = true;
  tree: BrowserProcess[] = [];

  constructor(pid: number) {
    this.pid = pid;
  }

  get isGone(): boolean {
    return this.#gone.isSet;
  }

  async answer(): Promise<void> {
    if (!this.answers) await new Promise(() => undefined);
  }

  openPage = (): never => {
    throw new Error('It has no pages.');
  };
  memoryBytes = async (): Promise<number> => this.tree.reduce((sum, each) => sum + each.privateBytes, 0);
  processes = async (): Promise<BrowserProcess[]> => this.tree;
  kill = (): void => void this.#gone.set({ asked: false, code: null, signal: 'SIGKILL' });
  close = async (): Promise<void> => void this.#gone.set({ asked: true, code: 0, signal: null });
}

class OwnTenant implements Tenant {
  readonly #closed = new Latch<string>();
  readonly closed = this.#closed.promise;
  browserFailed = (reason: string): void => void this.#closed.set(reason);
  close = async (): Promise<void> => void this.#closed.set('asked');
  get why(): string | undefined {
    return this.#closed.value;
  }
}

function world(options: { sessionsPerBrowser?: number; sessionsUntilRetired?: number } = {}) {
  const browsers: OwnBrowser[] = [];
  const incidents: BrowserIncident[] = [];
  const killed: number[] = [];
  const clock = new FakeClock();
  const pool = new BrowserPool({
    sessionsPerBrowser: 2,
    sessionsUntilRetired: 100,
    maxPageBytes: 500 * MB,
    log: () => undefined,
    onIncident: (incident) => incidents.push(incident),
    clock,
    launch: async () => {
      const browser = new OwnBrowser(1_000 + browsers.length);
      browsers.push(browser);
      return browser;
    },
    kill: (pid) => killed.push(pid),
    ...options,
  });
  const seat = async (): Promise<{ slot: Slot; tenant: OwnTenant; browser: Browser }> => {
    const slot = pool.reserve();
    const browser = await slot.browser;
    const tenant = new OwnTenant();
    pool.add(slot, tenant);
    pool.release(slot);
    await clock.pass(0);
    return { slot, tenant, browser };
  };
  return { pool, clock, browsers, incidents, killed, seat };
}

describe('where sessions sit', () => {
  it('fills one browser before it starts the next, and closes an empty one while another has places', async () => {
    const { seat, browsers, clock, pool } = world();
    const [one, two, three] = [await seat(), await seat(), await seat()];
    expect([one.browser, two.browser, three.browser]).toEqual([browsers[0], browsers[0], browsers[1]]);
    await three.tenant.close();
    await clock.pass(0);
    expect(browsers.map(({ isGone }) => isGone)).toEqual([false, true]);
    await one.tenant.close();
    await two.tenant.close();
    await clock.pass(0);
    expect(pool.pids).toEqual([1_000]); // the last one stays for the next session
    await pool.close();
    expect(browsers.every(({ isGone }) => isGone)).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('recycles a browser that has served its number: no more sessions, closed when empty, the next one is there already', async () => {
    const { seat, browsers, clock, incidents, pool } = world({ sessionsUntilRetired: 2 });
    const [one, two] = [await seat(), await seat()];
    await two.tenant.close();
    const three = await seat();
    expect(three.browser).toBe(browsers[1]);
    expect(browsers[0]?.isGone).toBe(false); // somebody sits in it
    await one.tenant.close();
    await clock.pass(0);
    expect(browsers[0]?.isGone).toBe(true);
    const four = await seat(); // the second's last
    expect(four.browser).toBe(browsers[1]);
    await three.tenant.close();
    await four.tenant.close();
    await clock.pass(0);
    expect(browsers.map(({ isGone }) => isGone)).toEqual([true, true, false]);
    expect(incidents).toEqual([]); // that is housekeeping, no trouble
    await pool.close();
  });

  it('a browser that could not start is told and holds no place; the next try starts another', async () => {
    const clock = new FakeClock();
    const incidents: BrowserIncident[] = [];
    const browser = new OwnBrowser(7);
    let fails = true;
    const pool = new BrowserPool({
      sessionsPerBrowser: 2,
      sessionsUntilRetired: 9,
      maxPageBytes: MB,
      log: () => undefined,
      onIncident: (incident) => incidents.push(incident),
      clock,
      launch: async () => {
        if (fails) throw new Error('no such file');
        return browser;
      },
    });
    const slot = pool.reserve();
    await expect(slot.browser).rejects.toThrow('no such file');
    pool.release(slot);
    await clock.pass(0);
    expect(incidents).toEqual([{ what: 'not-started', sessions: 0, detail: 'no such file' }]);
    fails = false;
    expect(await pool.reserve().browser).toBe(browser);
    await pool.close();
  });
});

describe('a browser in trouble', () => {
  it('that dies takes its own sessions and nobody else; they hear of it at once', async () => {
    const { seat, incidents, pool } = world();
    const [one, two, other] = [await seat(), await seat(), await seat()];
    one.browser.kill();
    await one.tenant.closed;
    await two.tenant.closed;
    expect(one.tenant.why).toBe('The browser of this session is gone.');
    expect(other.tenant.why).toBeUndefined();
    expect(incidents).toEqual([{ what: 'died', sessions: 2, detail: 'code null, signal SIGKILL' }]);
    await pool.close();
    expect(incidents).toHaveLength(1); // those we close have not died
  });

  it('that dies while a session moves in: the session hears of it too', async () => {
    const { pool, clock } = world();
    const slot = pool.reserve();
    (await slot.browser).kill();
    await clock.pass(0);
    const tenant = new OwnTenant();
    pool.add(slot, tenant);
    pool.release(slot);
    expect(tenant.why).toBe('The browser of this session is gone.');
    await pool.close();
  });

  it('that answers nothing is killed after 4 to 5 s; one answer in between and it lives', async () => {
    const { seat, browsers, clock, incidents, pool } = world();
    const { tenant } = await seat();
    const [browser] = browsers;
    if (!browser) throw new Error('no browser');
    await clock.pass(60_000);
    expect(browser.isGone).toBe(false);
    browser.answers = false;
    await clock.pass(3_900);
    expect(browser.isGone).toBe(false);
    await clock.pass(1_000);
    expect(browser.isGone).toBe(true);
    expect(tenant.why).toBeDefined();
    expect(incidents).toEqual([{ what: 'hung', sessions: 1, detail: 'it did not answer' }]);
    await pool.close();
  });

  it('of which one page holds too much: that page alone is killed', async () => {
    const { seat, browsers, clock, killed, incidents, pool } = world();
    await seat();
    const [browser] = browsers;
    if (!browser) throw new Error('no browser');
    browser.tree = [
      { pid: 1_000, privateBytes: 80 * MB, renderer: false },
      { pid: 11, privateBytes: 499 * MB, renderer: true },
      { pid: 12, privateBytes: 501 * MB, renderer: true },
    ];
    await clock.pass(4_000);
    expect(killed).toEqual([12]);
    expect(incidents).toEqual([{ what: 'page-bloated', sessions: 1, detail: 'process 12: 501 MB' }]);
    expect(browser.isGone).toBe(false);
    await pool.close();
  });

  it('whose shared processes hold too much: takes no more, told once, goes when it is empty', async () => {
    const { seat, browsers, clock, killed, incidents, pool } = world();
    const { tenant } = await seat();
    const [browser] = browsers;
    if (!browser) throw new Error('no browser');
    browser.tree = [
      { pid: 1_000, privateBytes: 300 * MB, renderer: false },
      { pid: 1_001, privateBytes: 201 * MB, renderer: false },
    ];
    await clock.pass(20_000);
    expect(incidents).toEqual([{ what: 'bloated', sessions: 1, detail: 'shared processes: 501 MB' }]);
    expect((await seat()).browser).toBe(browsers[1]);
    expect(tenant.why).toBeUndefined();
    await tenant.close();
    await clock.pass(0);
    expect(browser.isGone).toBe(true);
    expect(killed).toEqual([]);
    await pool.close();
  });
});
