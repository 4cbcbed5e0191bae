import { spawn, type ChildProcess } from 'node:child_process';
import { constants, getPriority, setPriority } from 'node:os';
import { Readable, Writable } from 'node:stream';
import { FleetError } from '@tavus-fleet/contracts';
import { Latch, withDeadline } from '@tavus-fleet/lifecycle';
import { Cdp } from './cdp.ts';
import type { Environment } from './environment.ts';
import { findChromium, type FoundChromium } from './find.ts';
import { chromiumFlags } from './flags.ts';
import { browserProcesses, processTreeMemoryBytes, type BrowserProcess } from './memory.ts';
import { makeProfile, removeProfile } from './profile.ts';
import { openPage, type OpenPageOptions, type Page } from './page.ts';

export type LaunchOptions = {
  readonly executablePath?: string | undefined;
  /** Our environment, filtered before Chromium sees it. */
  readonly env?: Environment;
  /** `auto` (default): on, but off for root and where the kernel or container allows no user namespaces; then `log` says so. */
  readonly sandbox?: 'auto' | 'on' | 'off';
  readonly extraArgs?: readonly string[];
  /** Chromium's --host-resolver-rules, for example to keep tests on this machine. */
  readonly hostRules?: string;
  readonly log?: (line: string) => void;
  readonly startTimeoutMs?: number;
};

const closeTimeoutMs = 3_000;
const answerTimeoutMs = 60_000;
/**
 * Above our own nice value (our choice). Where CPU is short a page that starts takes it from the control of those that are live, and
 * each step of a hand-over that comes late is heard as silence. Measured on two full cores: of 72 hand-overs one was silent
 * for more than 1 s, without this 18 of 105. Measured as root, where Chromium lifts its browser and its pages again once they
 * run, and only what starts them and their start stay below us; as an ordinary user it may not, and all of it does.
 */
const niceness = 5;

/**
 * One Chromium: its process group, its pipe and its throw-away profile. It dies with our process because its debugging pipe
 * then closes. `close()` ends it politely and after 3 s by SIGKILL to the group; the profile goes in either case.
 */
export class Chromium {
  readonly pid: number;
  /** Resolves when the process is gone, asked or not. Never rejects. */
  readonly exited: Promise<{ readonly asked: boolean; readonly code: number | null; readonly signal: string | null }>;
  readonly #cdp: Cdp;
  readonly #child: ChildProcess;
  readonly #removed: Promise<unknown>;
  #asked = false;
  #closing: Promise<void> | undefined;

  /** Starts one and waits until it answers. Rejects with `browser-failed` and leaves nothing behind. */
  static async launch(options: LaunchOptions, signal: AbortSignal): Promise<Chromium> {
    const found = await findChromium({
      executablePath: options.executablePath,
      signal,
      ...(options.env ? { env: options.env } : {}),
    });
    const wanted = options.sandbox ?? 'auto';
    const isRoot = process.getuid?.() === 0;
    if (wanted === 'auto' && isRoot) options.log?.('Chromium runs without its sandbox: root cannot use it');
    const withSandbox = wanted === 'on' || (wanted === 'auto' && !isRoot);
    try {
      return await start(options, found, withSandbox, signal);
    } catch (error) {
      // Trying is the only sure test: a container's seccomp profile refuses user namespaces without any sign in /proc/sys.
      if (wanted !== 'auto' || !withSandbox || !(error instanceof NoSandbox)) throw error;
      options.log?.('Chromium runs without its sandbox: user namespaces are not available here');
      return await start(options, found, false, signal);
    }
  }

  /** Use `Chromium.launch`. */
  constructor(
    child: ChildProcess & { pid: number },
    cdp: Cdp,
    gone: Promise<{ code: number | null; signal: string | null }>,
    removed: Promise<unknown>,
  ) {
    this.#removed = removed;
    this.#child = child;
    this.#cdp = cdp;
    this.pid = child.pid;
    this.exited = gone.then(({ code, signal }) => ({ asked: this.#asked, code, signal }));
  }

  /** Opens a top-level page of its own: own renderer process, own browser context, so own storage. Resolves when its document has loaded. */
  openPage(url: string, signal: AbortSignal, options: OpenPageOptions = {}): Promise<Page> {
    return openPage(this.#cdp, url, signal, options);
  }

  /** PSS of the whole process tree, bytes. */
  memoryBytes(): Promise<number> {
    return processTreeMemoryBytes(this.pid);
  }

  /** Its processes and their unshared memory. */
  processes(): Promise<readonly BrowserProcess[]> {
    return browserProcesses(this.pid);
  }

  /** Resolves when the browser process answers, however late. Rejects when it is gone. */
  async answer(): Promise<void> {
    // Whoever asks counts the time: a deadline here would also run out while our own process stood still.
    await this.#cdp.send('Browser.getVersion', {}, { timeoutMs: answerTimeoutMs });
  }

  /** SIGKILL to the whole group, for a browser that does not answer: `exited` then says that nobody asked it to leave. */
  kill(): void {
    killGroup(this.pid);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#asked = true;
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const polite = async (): Promise<unknown> => {
        await Promise.allSettled([this.#cdp.send('Browser.close', {}, { timeoutMs: closeTimeoutMs })]); // often the pipe closes before the answer
        return this.exited;
      };
      await withDeadline({ ms: closeTimeoutMs, what: 'Closing Chromium' }, polite).catch(() => killGroup(this.pid)); // too slow
    }
    await this.exited;
    await this.#removed;
  }
}

class NoSandbox extends FleetError {}

/** At once: what it starts inherits it. */
function giveWay(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, Math.min(constants.priority.PRIORITY_LOW, getPriority() + niceness));
  } catch {
    // It is gone already, which is said elsewhere, or the system forbids it: then it runs as we do.
  }
}

async function start(
  options: LaunchOptions,
  found: FoundChromium,
  sandbox: boolean,
  signal: AbortSignal,
): Promise<Chromium> {
  signal.throwIfAborted();
  const userDataDir = await makeProfile();
  const args = chromiumFlags({ userDataDir, sandbox, hostRules: options.hostRules, extraArgs: options.extraArgs });
  const child = spawn(found.executablePath, args, {
    // A group of its own: one kill reaches every helper process. HOME: Chromium keeps a certificate store there.
    detached: true,
    env: { ...found.env, HOME: userDataDir },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
  });
  giveWay(child.pid);
  const gone = new Latch<{ code: number | null; signal: string | null }>();
  const failed = new Latch<Error>();
  child.once('error', (error) => {
    failed.set(error);
    if (child.pid === undefined) gone.set({ code: null, signal: null });
  });
  child.once('exit', (code, signalName) => {
    if (child.pid !== undefined) killGroup(child.pid); // helpers that outlived their browser
    gone.set({ code, signal: signalName });
  });
  const remove = async (): Promise<void> => {
    await gone.promise;
    try {
      await removeProfile(userDataDir);
    } catch (error) {
      options.log?.(`profile not removed: ${String(error)}`);
    }
  };
  const removed = remove();
  const lastLines = readStderr(child, options.log);
  const [, , , write, read] = child.stdio;
  if (child.pid === undefined || !(write instanceof Writable) || !(read instanceof Readable)) {
    await removed;
    throw new FleetError('browser-failed', `Chromium did not start: ${found.executablePath}`, { cause: failed.value });
  }
  const cdp = new Cdp({ write, read }, { onError: (error) => options.log?.(`listener failed: ${String(error)}`) });
  // `pid` was checked above; the type of ChildProcess cannot carry that.
  const browser = new Chromium(child as ChildProcess & { pid: number }, cdp, gone.promise, removed);
  try {
    const timeoutMs = options.startTimeoutMs ?? 30_000;
    await withDeadline({ signal, ms: timeoutMs, what: 'Starting Chromium', code: 'browser-failed' }, (inner) =>
      cdp.send('Browser.getVersion', {}, { signal: inner, timeoutMs }),
    );
    return browser;
  } catch (error) {
    await browser.close();
    signal.throwIfAborted();
    const said = lastLines().join(' | ');
    if (sandbox && /No usable sandbox|sandbox_host|CLONE_NEWUSER|namespace/i.test(said))
      throw new NoSandbox('browser-failed', `Chromium found no usable sandbox: ${said}`);
    throw new FleetError('browser-failed', `Chromium did not answer after its start: ${said}`, { cause: error });
  }
}

// The headless shell copies the page's console to stderr; what a page says may hold names or transcripts and stays out of logs.
const consoleLine = /:CONSOLE[:(]/;

/** Hands each line of stderr on and keeps the last twenty, cut to 400 characters. */
function readStderr(child: ChildProcess, log: ((line: string) => void) | undefined): () => readonly string[] {
  const last: string[] = [];
  let open = '';
  child.stderr?.setEncoding('utf8');
  child.stderr?.on('data', (text: string) => {
    const lines = (open + text).split('\n');
    open = (lines.pop() ?? '').slice(-2_000);
    for (const line of lines) {
      if (line.trim() === '' || consoleLine.test(line)) continue;
      last.push(line.slice(0, 400));
      if (last.length > 20) last.shift();
      log?.(line.slice(0, 400));
    }
  });
  return () => last;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error; // ESRCH: all gone already
  }
}
