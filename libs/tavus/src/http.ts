import { withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import { request, type Dispatcher } from 'undici';
import type { z } from 'zod';
import { failureOf, networkFailure, TavusFailure } from './errors.ts';
import { NotSent, withLastLook, type Permit } from './permit.ts';

/** Largest answer we read; a page of a hundred conversations is about 60 kB. */
const BODY_MAX_BYTES = 2 * 1024 * 1024;

/** A connection that takes longer than a permit lasts, so often, is none. */
const MOST_HELD = 3;

/** What a call is, for metrics: never an id. */
export type Route = 'create' | 'get' | 'list' | 'end' | 'delete' | 'get-persona' | 'get-replica';
/** HTTP status of the answer, or why there was none. */
export type RequestStatus = number | 'timeout' | 'aborted' | 'network';

export type CallOptions = {
  /** Epoch of the owner on whose behalf we call; 0 or absent: nobody owns anything. */
  readonly epoch?: number;
  readonly signal: AbortSignal;
  /** Without one: whenever asked. */
  readonly permit?: Permit;
};

export type HttpOptions = {
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly onRequest?: ((route: Route, status: RequestStatus, ms: number) => void) | undefined;
};

type Exchange = {
  readonly route: Route;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly deadlineMs: number;
};

/**
 * One request to Tavus and its answer: headers, deadline, bounded body, failures by class. Nothing is retried and no redirect
 * is followed here (a redirect would carry the key to another host).
 */
export class TavusHttp {
  readonly #options: HttpOptions;
  readonly #base: string;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#base = options.baseUrl.replace(/\/+$/, '');
  }

  /** The parsed answer. Rejects with TavusFailure, or with the signal's reason when the caller gave up. */
  async json<T>(exchange: Exchange, answer: z.ZodType<T>, call: CallOptions): Promise<T> {
    const { status, text } = await this.#exchange(exchange, call);
    const parsed = answer.safeParse(jsonOf(text));
    if (parsed.success) return parsed.data;
    const where = parsed.error.issues[0]?.path.join('.') || 'the body';
    throw new TavusFailure('tavus-bad-answer', `Tavus answered ${status} with something unexpected in ${where}.`, {
      httpStatus: status,
    });
  }

  /** For calls whose 2xx answer says nothing more. */
  async empty(exchange: Exchange, call: CallOptions): Promise<void> {
    await this.#exchange(exchange, call);
  }

  /** A request that was held back is asked for again: nothing of it has left. */
  async #exchange(exchange: Exchange, call: CallOptions): Promise<{ status: number; text: string }> {
    for (let held = 0; ; held += 1) {
      // Outside of the deadline: it may wait for as long as nobody can say who owns the conversation.
      await call.permit?.confirm(call.signal);
      try {
        return await this.#once(exchange, call);
      } catch (error) {
        if (!(error instanceof NotSent)) throw error;
        if (held >= MOST_HELD)
          throw new TavusFailure('tavus-unavailable', `Tavus (${exchange.route}): no connection in time.`, {
            cause: error,
          });
      }
    }
  }

  async #once(exchange: Exchange, call: CallOptions): Promise<{ status: number; text: string }> {
    const { clock, onRequest } = this.#options;
    const startedAt = clock.now();
    let status: RequestStatus | 'not sent' = 'network';
    try {
      const answer = await this.#inTime(exchange, call);
      status = answer.status;
      if (answer.status >= 200 && answer.status < 300) return answer;
      throw failureOf({ status: answer.status, body: answer.text, retryAfter: answer.retryAfter, nowMs: clock.now() });
    } catch (error) {
      if (call.signal.aborted) status = 'aborted';
      else if (error instanceof NotSent) status = 'not sent';
      if (error instanceof TavusFailure && status === 'network')
        status = error.httpStatus ?? (error.code === 'tavus-timeout' ? 'timeout' : 'network');
      throw error;
    } finally {
      // What was held back has not been asked of Tavus: it is no failed request.
      if (status !== 'not sent') onRequest?.(exchange.route, status, clock.now() - startedAt);
    }
  }

  async #inTime(
    exchange: Exchange,
    call: CallOptions,
  ): Promise<{ status: number; text: string; retryAfter: string | undefined }> {
    const { deadlineMs: ms, route } = exchange;
    const creates = route === 'create';
    try {
      return await withDeadline(
        { signal: call.signal, ms, what: `Tavus (${route})`, code: 'tavus-timeout', clock: this.#options.clock },
        (signal) => this.#send(exchange, call, signal),
      );
    } catch (error) {
      if (call.signal.aborted) throw call.signal.reason;
      if (error instanceof TavusFailure || error instanceof NotSent) throw error;
      if (isTimeout(error))
        throw new TavusFailure('tavus-timeout', `Tavus (${route}) took longer than ${ms} ms.`, {
          cause: error,
          outcomeUnknown: creates,
        });
      const { failure, sent } = networkFailure(error);
      throw creates && sent ? unknownOutcome(failure) : failure;
    }
  }

  async #send(
    exchange: Exchange,
    call: CallOptions,
    signal: AbortSignal,
  ): Promise<{ status: number; text: string; retryAfter: string | undefined }> {
    const { statusCode, headers, body } = await request(this.#base + exchange.path, {
      method: exchange.method,
      headers: {
        accept: 'application/json',
        'x-api-key': this.#options.apiKey,
        'x-fleet-epoch': String(call.epoch ?? 0),
        ...(exchange.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: exchange.body === undefined ? null : JSON.stringify(exchange.body),
      signal,
      dispatcher: call.permit ? withLastLook(this.#options.dispatcher, call.permit) : this.#options.dispatcher,
    });
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of body) {
      // safe: undici's body yields Buffers as long as no encoding is set on it
      const bytes = part as Uint8Array;
      size += bytes.byteLength;
      // leaving the loop destroys the body, and the connection with it
      if (size > BODY_MAX_BYTES)
        throw new TavusFailure('tavus-bad-answer', `Tavus answered with more than ${BODY_MAX_BYTES} bytes.`, {
          httpStatus: statusCode,
        });
      parts.push(bytes);
    }
    const retryAfter = headers['retry-after'];
    return {
      status: statusCode,
      text: Buffer.concat(parts).toString('utf8'),
      retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
    };
  }
}

/** The same failure, marked: what it asked for may have happened. */
export function unknownOutcome(failure: TavusFailure): TavusFailure {
  return new TavusFailure(failure.code, failure.message, {
    cause: failure.cause,
    httpStatus: failure.httpStatus,
    retryAfterMs: failure.retryAfterMs,
    outcomeUnknown: true,
  });
}

function isTimeout(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    ['tavus-timeout', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'].includes(String(error.code))
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema refuses it and says so
  }
}
