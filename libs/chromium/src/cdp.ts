import type { Readable, Writable } from 'node:stream';
import { FleetError } from '@tavus-fleet/contracts';
import { Emitter, systemClock, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import { z } from 'zod';

/** One message from Chromium: an answer (id) or an event (method). */
const Message = z.object({
  id: z.number().optional(),
  method: z.string().optional(),
  sessionId: z.string().optional(),
  params: z.record(z.string(), z.unknown()).optional(),
  result: z.record(z.string(), z.unknown()).optional(),
  error: z.object({ code: z.number().optional(), message: z.string() }).optional(),
});

export type CdpEvent = {
  readonly method: string;
  readonly sessionId: string | undefined;
  readonly params: Readonly<Record<string, unknown>>;
};
export type CdpResult = Readonly<Record<string, unknown>>;
type SendOptions = {
  readonly sessionId?: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
};
type Pending = { readonly method: string; settle(result: CdpResult | Error): void };

const defaultTimeoutMs = 15_000;
const maxMessageBytes = 32 * 1024 * 1024;
const maxPending = 2_000;

/**
 * Commands and events over Chromium's debugging pipe: JSON texts ended by NUL. Every command has a deadline; when the pipe
 * ends, all pending ones are rejected. It enables no domain by itself: Network would double the cost of each WebSocket frame.
 */
export class Cdp {
  readonly #write: Writable;
  readonly #pending = new Map<number, Pending>();
  readonly #events: Emitter<CdpEvent>;
  readonly #clock: Clock;
  #nextId = 1;
  #parts: Buffer[] = [];
  #partsBytes = 0;
  #ended: FleetError | undefined;

  constructor(
    pipe: { write: Writable; read: Readable },
    options: { onError: (error: unknown) => void; clock?: Clock },
  ) {
    this.#write = pipe.write;
    this.#clock = options.clock ?? systemClock;
    this.#events = new Emitter(options.onError);
    pipe.read.on('data', (chunk: Buffer) => this.#receive(chunk));
    pipe.read.on('close', () => this.end('The pipe to Chromium closed.'));
    pipe.read.on('error', () => this.end('The pipe from Chromium broke.'));
    pipe.write.on('error', () => this.end('The pipe to Chromium broke.'));
  }

  on(listener: (event: CdpEvent) => void): () => void {
    return this.#events.on(listener);
  }

  /** Sends one command. Rejects with `browser-failed` (Chromium refused it or is gone) or `deadline-exceeded`. */
  send(method: string, params: Record<string, unknown> = {}, options: SendOptions = {}): Promise<CdpResult> {
    const { signal, sessionId, timeoutMs = defaultTimeoutMs } = options;
    if (this.#ended) return Promise.reject(this.#ended);
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#pending.size >= maxPending)
      return Promise.reject(new FleetError('browser-failed', 'Chromium answers nothing any more.'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const settle = (result: CdpResult | Error): void => {
        if (!this.#pending.delete(id)) return;
        timer[Symbol.dispose]();
        signal?.removeEventListener('abort', abort);
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
      const abort = (): void =>
        settle(
          signal?.reason instanceof Error
            ? signal.reason
            : new FleetError('deadline-exceeded', `${method} was aborted.`),
        );
      const late = new FleetError('deadline-exceeded', `Chromium did not answer ${method} within ${timeoutMs} ms.`);
      const timer: Timer = this.#clock.after(timeoutMs, () => settle(late));
      this.#pending.set(id, { method, settle });
      signal?.addEventListener('abort', abort, { once: true });
      this.#write.write(`${JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) })}\0`);
    });
  }

  /** Rejects everything pending and all that comes later. */
  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = new FleetError('browser-failed', reason);
    for (const pending of this.#pending.values()) pending.settle(this.#ended);
    this.#parts = [];
    this.#partsBytes = 0;
  }

  #receive(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(0); end !== -1; end = rest.indexOf(0)) {
      const text = Buffer.concat([...this.#parts, rest.subarray(0, end)]).toString('utf8');
      this.#parts = [];
      this.#partsBytes = 0;
      rest = rest.subarray(end + 1);
      this.#dispatch(text);
    }
    if (rest.length === 0) return;
    this.#parts.push(rest);
    this.#partsBytes += rest.length;
    if (this.#partsBytes > maxMessageBytes) this.end('Chromium sent a message without end.');
  }

  #dispatch(text: string): void {
    const parsed = Message.safeParse(safeJson(text));
    if (!parsed.success) return this.end('Chromium sent something that is not its protocol.');
    const message = parsed.data;
    if (message.id !== undefined) {
      const pending = this.#pending.get(message.id);
      const error = message.error
        ? new FleetError('browser-failed', `${pending?.method}: ${message.error.message}`)
        : undefined;
      pending?.settle(error ?? message.result ?? {});
    } else if (message.method !== undefined) {
      this.#events.emit({ method: message.method, sessionId: message.sessionId, params: message.params ?? {} });
    }
  }
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not JSON: fails the schema like any other wrong shape
  }
}
