// A real Chromium: calls in and out of a page, what a crash looks like, and that nothing outlives its parent.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { getPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Chromium } from '@tavus-fleet/chromium';
import { systemClock } from '@tavus-fleet/lifecycle';
import { BrowserPool, type BrowserIncident } from '@tavus-fleet/rooms/browser-pool';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { chromiumBelow } from './fixtures/process-tree.ts';

const signal = (): AbortSignal => AbortSignal.timeout(60_000);
const alive = (pid: number): boolean => {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
};

describe('Chromium', () => {
  let server: Server;
  let url: string;
  let browser: Chromium;
  beforeAll(async () => {
    server = createServer((_request, response) =>
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>page</title>'),
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');
    // A listening TCP server's address is always an AddressInfo.
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    browser = await Chromium.launch({ env: process.env }, signal());
  });
  afterAll(async () => {
    await browser.close();
    await browser.close();
    server.close();
    if (alive(browser.pid)) throw new Error('closed, but its process lives');
  });

  it('calls functions with values, awaits promises and brings errors back', async () => {
    const page = await browser.openPage(url, signal());
    expect(
      await page.call('async (a, b) => ({ sum: a + b.c, secure: isSecureContext })', [1, { c: 2 }], signal()),
    ).toEqual({ sum: 3, secure: true });
    await expect(page.call('() => { throw new Error("boom") }', [], signal())).rejects.toThrow('boom');
    await page.close();
    await page.close();
    await expect(page.call('() => 1', [], signal())).rejects.toMatchObject({ code: 'page-crashed' });
  });

  it('starts its pages below the process that started it', () => {
    // What every page is forked from. As root Chromium lifts the pages themselves again once they run.
    const zygotes = chromiumBelow(browser.pid).filter(({ type }) => type === 'zygote');
    expect(zygotes.length).toBeGreaterThan(0);
    for (const { pid } of zygotes) expect(getPriority(pid)).toBeGreaterThan(getPriority());
  });

  it('keeps the storage of two pages apart', async () => {
    const [one, two] = await Promise.all([browser.openPage(url, signal()), browser.openPage(url, signal())]);
    await one.call('() => { localStorage.setItem("k", "v") }', [], signal());
    expect(await two.call('() => localStorage.getItem("k")', [], signal())).toBeNull();
    await Promise.all([one.close(), two.close()]);
  });

  it('says so when a page crashes, rejects what was pending, and leaves its neighbour alone', async () => {
    const [crashing, neighbour] = await Promise.all([browser.openPage(url, signal()), browser.openPage(url, signal())]);
    const pending = crashing.call('() => new Promise(() => {})', [], signal());
    const gone = new Promise((resolve) => crashing.onClosed(resolve));
    const navigation = crashing.command('Page.navigate', { url: 'chrome://crash' }, signal());
    const [outcome] = await Promise.allSettled([pending, navigation]);
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'page-crashed' } });
    expect(await gone).toBe('crash');
    expect(await neighbour.call('() => 1', [], signal())).toBe(1);
    await crashing.close();
    await neighbour.close();
  });

  it('rejects a page that cannot be loaded and tells its memory', async () => {
    await expect(browser.openPage('http://127.0.0.1:1/', signal())).rejects.toMatchObject({ code: 'browser-failed' });
    expect(await browser.memoryBytes()).toBeGreaterThan(20e6);
  });
});

describe('a page that takes more memory than it may', () => {
  it('is ended alone, and told with what it held', async () => {
    const server = createServer((_request, response) => response.end('page')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    // A listening TCP server's address is always an AddressInfo.
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const incidents: BrowserIncident[] = [];
    const pool = new BrowserPool({
      chromium: { env: process.env },
      sessionsPerBrowser: 10,
      sessionsUntilRetired: 10,
      maxPageBytes: 300 * 2 ** 20,
      log: () => undefined,
      onIncident: (incident) => incidents.push(incident),
      clock: systemClock,
    });
    const browser = await pool.reserve().browser;
    const [greedy, neighbour] = await Promise.all([browser.openPage(url, signal()), browser.openPage(url, signal())]);
    const gone = new Promise((resolve) => greedy.onClosed(resolve));
    await greedy.call(
      '(megabytes) => { globalThis.held = Array.from({ length: megabytes }, () => new Uint8Array(2 ** 20).fill(1)); }',
      [400],
      signal(),
    );
    expect(await gone).toBe('crash');
    expect(await neighbour.call('() => 1', [], signal())).toBe(1);
    expect(incidents).toMatchObject([{ what: 'page-bloated', detail: expect.stringMatching(/: 4\d\d MB$/) }]);
    await pool.close();
    server.close();
  });
});

describe('Chromium whose parent is killed', () => {
  it('is gone with all its processes within 3 s', async () => {
    const parent = spawn(process.execPath, [fileURLToPath(new URL('fixtures/launch-chromium.ts', import.meta.url))], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // A line event carries the line.
    const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
    // The fixture prints exactly this list.
    const pids = JSON.parse(line) as number[];
    expect(pids.length).toBeGreaterThan(2);
    expect(pids.filter(alive)).toEqual(pids);
    parent.kill('SIGKILL');
    await vi.waitUntil(() => pids.filter(alive).length === 0, { timeout: 3_000, interval: 20 });
  });
});
