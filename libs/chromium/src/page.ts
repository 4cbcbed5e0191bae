import { FleetError } from '@tavus-fleet/contracts';
import { Latch, withDeadline } from '@tavus-fleet/lifecycle';
import { z } from 'zod';
import type { Cdp, CdpEvent } from './cdp.ts';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };
export type PageGone = 'crash' | 'closed';
export type OpenPageOptions = {
  /** Camera and microphone permission for the page's origin (default true): nothing is captured, but ICE then offers real host addresses. */
  readonly mediaPermissions?: boolean;
  /** For tests only: each console line and uncaught error. Costs a CDP message per line. */
  readonly onConsole?: (text: string) => void;
  readonly loadTimeoutMs?: number;
};

const Created = z.object({ browserContextId: z.string() });
const Target = z.object({ targetId: z.string() });
const Attached = z.object({ sessionId: z.string() });
const Navigated = z.object({ errorText: z.string().optional() });
const Handle = z.object({ result: z.object({ objectId: z.string() }) });
const Thrown = z.object({
  text: z.string(),
  exception: z.object({ description: z.string().optional(), value: z.unknown().optional() }).optional(),
});
const Returned = z.object({ result: z.object({ value: z.unknown().optional() }), exceptionDetails: Thrown.optional() });
const ConsoleCall = z.object({
  args: z.array(z.object({ value: z.unknown().optional(), description: z.string().optional() })),
});

const callTimeoutMs = 15_000;

/**
 * One top-level page in its own browser context. Gone is gone: after a crash or a close every call rejects with `page-crashed`
 * and nothing brings it back. Closing it closes its context, so its storage goes too.
 */
export class Page {
  readonly #cdp: Cdp;
  readonly #ids: { contextId: string; targetId: string; sessionId: string };
  readonly #gone = new Latch<PageGone>();
  readonly #goneSignal = new AbortController();
  readonly #stopListening: () => void;
  #loaded = new Latch<true>();
  #window: string | undefined;
  #closing: Promise<void> | undefined;

  /** Use `Chromium.openPage`. */
  constructor(
    cdp: Cdp,
    ids: { contextId: string; targetId: string; sessionId: string },
    onConsole?: (text: string) => void,
  ) {
    this.#cdp = cdp;
    this.#ids = ids;
    this.#stopListening = cdp.on((event) => this.#receive(event, onConsole));
  }

  /** Resolves once with why the page is gone; never rejects. */
  get gone(): Promise<PageGone> {
    return this.#gone.promise;
  }

  /** Calls back once; at once in a later task if the page is gone already. */
  onClosed(callback: (why: PageGone) => void): void {
    void this.#tell(callback);
  }

  /** Loads a URL and waits for its load event. Rejects with `browser-failed` if it cannot be reached. */
  async navigate(url: string, signal: AbortSignal, timeoutMs = 20_000): Promise<void> {
    this.#loaded = new Latch();
    this.#window = undefined;
    await withDeadline(
      { signal: this.#orGone(signal), ms: timeoutMs, what: 'Loading the page', code: 'browser-failed' },
      async (inner) => {
        const { errorText } = Navigated.parse(await this.#send('Page.navigate', { url }, inner, timeoutMs));
        if (errorText) throw new FleetError('browser-failed', `The page did not load: ${errorText}`);
        await this.#loaded.promise;
      },
    );
  }

  /**
   * Calls a function in the page with JSON arguments, passed as values and never as text, and answers its JSON result (promises
   * are awaited). What it throws comes back as `browser-failed` with its text; a dead page as `page-crashed`.
   */
  async call(
    functionDeclaration: string,
    args: readonly JsonValue[],
    signal: AbortSignal,
    timeoutMs = callTimeoutMs,
  ): Promise<unknown> {
    const merged = this.#orGone(signal);
    merged.throwIfAborted();
    // An object of the page instead of an execution context id: those come only with Runtime.enable, which costs a message per console line.
    this.#window ??= Handle.parse(
      await this.#send('Runtime.evaluate', { expression: 'globalThis' }, merged, timeoutMs),
    ).result.objectId;
    const params = {
      functionDeclaration,
      objectId: this.#window,
      arguments: args.map((value) => ({ value })),
      awaitPromise: true,
      returnByValue: true,
    };
    const { result, exceptionDetails } = Returned.parse(
      await this.#send('Runtime.callFunctionOn', params, merged, timeoutMs),
    );
    if (exceptionDetails) {
      const { exception, text } = exceptionDetails;
      throw new FleetError(
        'browser-failed',
        exception?.description ?? (exception?.value === undefined ? text : JSON.stringify(exception.value)),
      );
    }
    return result.value;
  }

  /** Sends a raw command to this page, for tests and tools. */
  command(
    method: string,
    params: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, unknown>>> {
    return this.#send(method, params, this.#orGone(signal), callTimeoutMs);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #tell(callback: (why: PageGone) => void): Promise<void> {
    callback(await this.#gone.promise);
  }

  async #close(): Promise<void> {
    this.#finish('closed');
    await disposeContext(this.#cdp, this.#ids.contextId);
  }

  #send(
    method: string,
    params: Record<string, unknown>,
    signal: AbortSignal,
    timeoutMs: number,
  ): Promise<Readonly<Record<string, unknown>>> {
    return this.#cdp.send(method, params, { sessionId: this.#ids.sessionId, signal, timeoutMs });
  }

  #orGone(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#goneSignal.signal]);
  }

  #finish(why: PageGone): void {
    if (!this.#gone.set(why)) return;
    this.#stopListening();
    this.#goneSignal.abort(
      new FleetError('page-crashed', why === 'crash' ? 'The page crashed.' : 'The page is closed.'),
    );
  }

  #receive(event: CdpEvent, onConsole: ((text: string) => void) | undefined): void {
    if (event.sessionId === undefined) {
      if (event.method === 'Target.detachedFromTarget' && event.params['sessionId'] === this.#ids.sessionId)
        this.#finish('closed');
      return;
    }
    if (event.sessionId !== this.#ids.sessionId) return;
    if (event.method === 'Page.loadEventFired') this.#loaded.set(true);
    else if (event.method === 'Inspector.targetCrashed') this.#finish('crash');
    else if (onConsole && event.method === 'Runtime.consoleAPICalled') onConsole(consoleText(event.params));
    else if (onConsole && event.method === 'Runtime.exceptionThrown')
      onConsole(`uncaught ${JSON.stringify(event.params['exceptionDetails'])}`);
  }
}

/** Makes the context, the target and the session, then loads the URL. Rejects and leaves no context behind. */
export async function openPage(cdp: Cdp, url: string, signal: AbortSignal, options: OpenPageOptions): Promise<Page> {
  const { browserContextId } = Created.parse(
    await cdp.send('Target.createBrowserContext', { disposeOnDetach: true }, { signal }),
  );
  try {
    if (options.mediaPermissions !== false) {
      const params = { permissions: ['audioCapture', 'videoCapture'], origin: new URL(url).origin, browserContextId };
      await cdp.send('Browser.grantPermissions', params, { signal });
    }
    const { targetId } = Target.parse(
      await cdp.send('Target.createTarget', { url: 'about:blank', browserContextId }, { signal }),
    );
    const { sessionId } = Attached.parse(
      await cdp.send('Target.attachToTarget', { targetId, flatten: true }, { signal }),
    );
    const page = new Page(cdp, { contextId: browserContextId, targetId, sessionId }, options.onConsole);
    const on = { sessionId, signal };
    await Promise.all([
      cdp.send('Inspector.enable', {}, on),
      cdp.send('Page.enable', {}, on),
      ...(options.onConsole ? [cdp.send('Runtime.enable', {}, on)] : []),
    ]);
    await page.navigate(url, signal, options.loadTimeoutMs);
    return page;
  } catch (error) {
    await disposeContext(cdp, browserContextId);
    throw error;
  }
}

async function disposeContext(cdp: Cdp, browserContextId: string): Promise<void> {
  try {
    await cdp.send('Target.disposeBrowserContext', { browserContextId }, { timeoutMs: 3_000 });
  } catch (error) {
    // The browser is gone (nothing left to close) or hangs (its owner sees that and replaces it): both are what close() wanted.
    if (!(error instanceof FleetError)) throw error;
  }
}

function consoleText(params: Readonly<Record<string, unknown>>): string {
  const call = ConsoleCall.safeParse(params);
  if (!call.success) return '';
  return call.data.args
    .map((arg) =>
      arg.value === undefined
        ? (arg.description ?? '')
        : typeof arg.value === 'string'
          ? arg.value
          : JSON.stringify(arg.value),
    )
    .join(' ');
}
