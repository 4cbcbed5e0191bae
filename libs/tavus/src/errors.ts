import { FleetError, type ErrorCode } from '@tavus-fleet/contracts';

const RETRY_AFTER_MAX_MS = 60_000;
const MESSAGE_MAX = 300;

/** A call to Tavus that failed. `httpStatus` is absent when no answer came. */
export class TavusFailure extends FleetError {
  readonly httpStatus: number | undefined;
  /** The request may have taken effect although it failed: a conversation may exist and cost money. Only `create` sets it. */
  readonly outcomeUnknown: boolean;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      cause?: unknown;
      httpStatus?: number | undefined;
      retryAfterMs?: number | undefined;
      outcomeUnknown?: boolean;
    } = {},
  ) {
    super(code, message, {
      ...(options.cause === undefined ? {} : { cause: options.cause }),
      ...(options.retryAfterMs === undefined ? {} : { retryAfterMs: options.retryAfterMs }),
    });
    this.httpStatus = options.httpStatus;
    this.outcomeUnknown = options.outcomeUnknown ?? false;
  }
}

/** An answer that is not 2xx. `retryAfter` is the header as sent; `nowMs` since 1970 turns its date form into a pause. */
export type BadAnswer = {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | undefined;
  readonly nowMs: number;
};

/** What such an answer means. Tavus has no error codes, only the status and the wording (both body shapes are documented). */
export function failureOf(answer: BadAnswer): TavusFailure {
  const said = vendorMessage(answer.body);
  const code = codeOf(answer.status, said);
  const message = said === '' ? `Tavus answered ${answer.status}.` : `Tavus answered ${answer.status}: ${said}`;
  const retryAfterMs =
    code === 'tavus-rate-limit' || code === 'tavus-unavailable'
      ? retryAfter(answer.retryAfter, answer.nowMs)
      : undefined;
  return new TavusFailure(code, message, { httpStatus: answer.status, retryAfterMs });
}

function codeOf(status: number, said: string): ErrorCode {
  // Observed as 400; wherever Tavus moves it, the wording is what tells it from a bad request.
  if (status >= 400 && status < 500 && /maximum concurrent conversations/i.test(said)) return 'tavus-capacity';
  if (status === 401) return 'tavus-auth';
  if (status === 402 || (status === 403 && /out of conversational credits/i.test(said))) return 'tavus-credits';
  if (status === 408) return 'tavus-timeout';
  if (status === 429) return 'tavus-rate-limit';
  if (status >= 400 && status < 500) return 'tavus-invalid-request';
  if (status >= 500) return 'tavus-unavailable';
  return 'tavus-bad-answer'; // a redirect, or a status that HTTP does not have
}

/** Whether Tavus said that it does not know the conversation (documented as 400, tolerated as 404). */
export function saysUnknownConversation(error: unknown): boolean {
  if (!(error instanceof TavusFailure)) return false;
  return error.httpStatus === 404 || (error.httpStatus === 400 && /invalid conversation_id/i.test(error.message));
}

/** Tavus' own words, shortened; URLs and anything that looks like a key or token are taken out, since this reaches logs. */
function vendorMessage(body: string): string {
  const text = errorText(parseJson(body));
  return text
    .replaceAll(/\bhttps?:\/\/\S+/gi, '[url]')
    .replaceAll(/[\w+/=.-]{33,}/g, '[redacted]')
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, MESSAGE_MAX);
}

function errorText(body: unknown): string {
  if (typeof body !== 'object' || body === null) return '';
  for (const value of ['error' in body ? body.error : undefined, 'message' in body ? body.message : undefined]) {
    if (typeof value === 'string') return value;
    if (typeof value === 'object' && value !== null) return JSON.stringify(value);
  }
  return '';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // an HTML page of a proxy says nothing that we could show
  }
}

/** Seconds or an HTTP date (RFC 9110), as a pause in ms of at most a minute; undefined when it is neither. */
function retryAfter(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? '';
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : /[a-z]/i.test(text) ? Date.parse(text) - nowMs : Number.NaN;
  return Number.isNaN(ms) ? undefined : Math.min(RETRY_AFTER_MAX_MS, Math.max(0, Math.ceil(ms)));
}

// Found out before a byte of the request was sent; anything else may have reached Tavus.
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** No answer at all. Whether the request can have taken effect is the caller's to say only if it was sent. */
export function networkFailure(cause: unknown): { failure: TavusFailure; sent: boolean } {
  const code =
    typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string'
      ? cause.code
      : 'unknown';
  return {
    failure: new TavusFailure('tavus-unavailable', `Tavus could not be reached (${code}).`, { cause }),
    sent: !NOT_SENT.has(code),
  };
}
