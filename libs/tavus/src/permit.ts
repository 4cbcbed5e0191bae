import type { Dispatcher } from 'undici';

/** Leave to ask something of Tavus on behalf of an owner that may have been replaced. */
export type Permit = {
  /** Awaited before each request, also before a repeated one. What it rejects with is the call's failure. */
  confirm(signal: AbortSignal): Promise<void>;
  /** Asked again in the very turn in which the request goes to the socket. */
  holds(): boolean;
};

/** The request has not left: its permit ran out while it waited for a connection. */
export class NotSent extends Error {}

/**
 * The same dispatcher with a last look. Between a confirmation and the socket lie a connection to be opened and other requests, and a
 * process may stand still there for any time: without this a create that was confirmed before left after it (observed, 1 of 56).
 * Undici calls `onRequestStart` in the turn in which it writes, and writes nothing when it is aborted there.
 */
export function withLastLook(dispatcher: Dispatcher, permit: Permit): Dispatcher {
  return dispatcher.compose((dispatch) => (options, handler) => dispatch(options, new LastLook(handler, permit)));
}

type Handler = Dispatcher.DispatchHandler;

/** Hands everything on; undici's own decorator does too, but has no types. */
class LastLook implements Handler {
  readonly #handler: Handler;
  readonly #permit: Permit;

  constructor(handler: Handler, permit: Permit) {
    this.#handler = handler;
    this.#permit = permit;
  }

  onRequestStart(...args: Parameters<NonNullable<Handler['onRequestStart']>>): void {
    this.#handler.onRequestStart?.(...args);
    if (!this.#permit.holds()) args[0].abort(new NotSent('The request was held back.'));
  }

  onResponseStart(...args: Parameters<NonNullable<Handler['onResponseStart']>>): void {
    this.#handler.onResponseStart?.(...args);
  }

  onResponseData(...args: Parameters<NonNullable<Handler['onResponseData']>>): void {
    this.#handler.onResponseData?.(...args);
  }

  onResponseEnd(...args: Parameters<NonNullable<Handler['onResponseEnd']>>): void {
    this.#handler.onResponseEnd?.(...args);
  }

  onResponseError(...args: Parameters<NonNullable<Handler['onResponseError']>>): void {
    this.#handler.onResponseError?.(...args);
  }
}
