import type { Chromium } from '@tavus-fleet/chromium';
import type { Clock, Timer } from '@tavus-fleet/lifecycle';

/** What is asked of a browser to judge it. */
export type WatchedBrowser = Pick<Chromium, 'answer' | 'processes'>;

/** How a browser is ill. `page-bloated`: one page's process; `bloated`: what all its sessions share (browser, network, audio). */
export type Illness =
  | { readonly what: 'hung' }
  | { readonly what: 'page-bloated'; readonly pid: number; readonly bytes: number }
  | { readonly what: 'bloated'; readonly bytes: number };

const beatMs = 800;
/** Five beats without an answer: 4 to 4.8 s after it hung. */
const hungAfterBeats = 5;
const memoryEveryBeats = 5;

/**
 * Looks after one browser that runs: does it answer, is one of its processes too big. Judges only; what follows is its
 * owner's. Silence is counted in our own beats and not by the clock: while our process stands still it counts nothing, so that a
 * worker that was frozen does not kill the browsers which waited for it.
 */
export class BrowserWatch {
  readonly #browser: WatchedBrowser;
  readonly #maxPageBytes: number;
  readonly #onIll: (illness: Illness) => void;
  readonly #timer: Timer;
  #beats = 0;
  #unanswered = 0;
  #asking = false;
  #measuring = false;
  #over = false;

  constructor(
    browser: WatchedBrowser,
    options: { readonly maxPageBytes: number; readonly onIll: (illness: Illness) => void; readonly clock: Clock },
  ) {
    this.#browser = browser;
    this.#maxPageBytes = options.maxPageBytes;
    this.#onIll = options.onIll;
    this.#timer = options.clock.every(beatMs, () => this.#beat());
  }

  close(): void {
    this.#over = true;
    this.#timer[Symbol.dispose]();
  }

  #beat(): void {
    this.#beats += 1;
    if (this.#asking) this.#unanswered += 1;
    else void this.#ask();
    if (this.#unanswered === hungAfterBeats) this.#onIll({ what: 'hung' });
    if (this.#beats % memoryEveryBeats === 0 && !this.#measuring) void this.#measure();
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    try {
      await this.#browser.answer();
      this.#unanswered = 0;
      this.#asking = false;
    } catch {
      // Gone: its exit tells its owner. It stays "asking", and its owner closes us.
    }
  }

  async #measure(): Promise<void> {
    this.#measuring = true;
    const processes = await this.#browser.processes();
    this.#measuring = false;
    if (this.#over) return;
    for (const { pid, privateBytes: bytes, renderer } of processes)
      if (renderer && bytes > this.#maxPageBytes) this.#onIll({ what: 'page-bloated', pid, bytes });
    const shared = processes.filter(({ renderer }) => !renderer).reduce((sum, each) => sum + each.privateBytes, 0);
    if (shared > this.#maxPageBytes) this.#onIll({ what: 'bloated', bytes: shared });
  }
}
