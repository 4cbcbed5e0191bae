import { z } from 'zod';

/** What kind of failure it is: Pipecat's categories plus `capacity` (Tavus' "maximum concurrent conversations" is not a bad request). */
export const ErrorCategory = z.enum([
  'unknown',
  'authentication',
  'authorization',
  'invalid-request',
  'capacity',
  'quota',
  'rate-limit',
  'connectivity',
  'server',
  'application',
]);
export type ErrorCategory = z.infer<typeof ErrorCategory>;

type Row = {
  readonly status: number;
  readonly category: ErrorCategory;
  readonly blame: 'caller' | 'us' | 'provider';
  readonly retry: boolean;
  readonly scope: 'request' | 'session' | 'worker';
};

/** Every error code: whose fault, try again, how far it reaches, and its HTTP status. The only list. */
export const errorCodes = {
  'invalid-request': { status: 400, category: 'invalid-request', blame: 'caller', retry: false, scope: 'request' },
  'invalid-json': { status: 400, category: 'invalid-request', blame: 'caller', retry: false, scope: 'request' },
  unauthorized: { status: 401, category: 'authentication', blame: 'caller', retry: false, scope: 'request' },
  'not-found': { status: 404, category: 'invalid-request', blame: 'caller', retry: false, scope: 'request' },
  'method-not-allowed': { status: 405, category: 'invalid-request', blame: 'caller', retry: false, scope: 'request' },
  'conversation-id-used': { status: 409, category: 'invalid-request', blame: 'caller', retry: false, scope: 'request' },
  'conversation-over': { status: 409, category: 'invalid-request', blame: 'caller', retry: false, scope: 'request' },
  'idempotency-key-reused': {
    status: 409,
    category: 'invalid-request',
    blame: 'caller',
    retry: false,
    scope: 'request',
  },
  'body-too-large': { status: 413, category: 'invalid-request', blame: 'caller', retry: false, scope: 'request' },
  'unsupported-media-type': {
    status: 415,
    category: 'invalid-request',
    blame: 'caller',
    retry: false,
    scope: 'request',
  },
  'stream-full': { status: 429, category: 'rate-limit', blame: 'caller', retry: true, scope: 'request' },
  'redis-unavailable': { status: 503, category: 'connectivity', blame: 'us', retry: true, scope: 'request' },
  'api-unavailable': { status: 503, category: 'connectivity', blame: 'us', retry: true, scope: 'request' },
  'redis-only': { status: 501, category: 'invalid-request', blame: 'caller', retry: false, scope: 'request' },
  'shutting-down': { status: 503, category: 'application', blame: 'us', retry: true, scope: 'request' },
  internal: { status: 500, category: 'application', blame: 'us', retry: true, scope: 'session' },
  'tavus-invalid-request': {
    status: 502,
    category: 'invalid-request',
    blame: 'caller',
    retry: false,
    scope: 'session',
  },
  'tavus-auth': { status: 502, category: 'authentication', blame: 'us', retry: false, scope: 'worker' },
  'tavus-credits': { status: 502, category: 'quota', blame: 'us', retry: false, scope: 'worker' },
  'tavus-capacity': { status: 503, category: 'capacity', blame: 'provider', retry: true, scope: 'session' },
  'tavus-rate-limit': { status: 503, category: 'rate-limit', blame: 'provider', retry: true, scope: 'session' },
  'tavus-unavailable': { status: 502, category: 'server', blame: 'provider', retry: true, scope: 'session' },
  'tavus-timeout': { status: 504, category: 'connectivity', blame: 'provider', retry: true, scope: 'session' },
  'tavus-bad-answer': { status: 502, category: 'server', blame: 'provider', retry: true, scope: 'session' },
  'tavus-over': { status: 410, category: 'application', blame: 'provider', retry: false, scope: 'session' },
  'room-join-failed': { status: 502, category: 'connectivity', blame: 'provider', retry: true, scope: 'session' },
  'room-ejected': { status: 502, category: 'application', blame: 'provider', retry: false, scope: 'session' },
  'room-lost': { status: 502, category: 'connectivity', blame: 'provider', retry: true, scope: 'session' },
  'user-room-refused': { status: 502, category: 'invalid-request', blame: 'caller', retry: false, scope: 'session' },
  'replica-absent': { status: 504, category: 'server', blame: 'provider', retry: true, scope: 'session' },
  'replica-lost': { status: 502, category: 'server', blame: 'provider', retry: true, scope: 'session' },
  'replica-frozen': { status: 502, category: 'server', blame: 'provider', retry: true, scope: 'session' },
  'replica-mute': { status: 502, category: 'server', blame: 'provider', retry: true, scope: 'session' },
  'replica-unheard': { status: 502, category: 'server', blame: 'provider', retry: true, scope: 'session' },
  'message-refused': { status: 502, category: 'application', blame: 'provider', retry: true, scope: 'session' },
  'user-audio-limit': { status: 429, category: 'capacity', blame: 'caller', retry: false, scope: 'session' },
  'malformed-frame': { status: 400, category: 'invalid-request', blame: 'caller', retry: false, scope: 'request' },
  'page-crashed': { status: 500, category: 'application', blame: 'us', retry: true, scope: 'session' },
  'page-silent': { status: 500, category: 'application', blame: 'us', retry: true, scope: 'session' },
  'browser-failed': { status: 500, category: 'application', blame: 'us', retry: true, scope: 'worker' },
  'deadline-exceeded': { status: 504, category: 'connectivity', blame: 'us', retry: true, scope: 'session' },
  'lease-lost': { status: 409, category: 'application', blame: 'us', retry: false, scope: 'session' },
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof errorCodes;

/** The one error class that crosses our own borders. `field` names what the caller must change; `message` says the remedy. */
export class FleetError extends Error {
  override readonly name = 'FleetError';
  readonly code: ErrorCode;
  readonly field: string | undefined;
  /** Milliseconds after which the provider said to try again. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; field?: string; retryAfterMs?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
  }

  get category(): ErrorCategory {
    return errorCodes[this.code].category;
  }

  get retry(): boolean {
    return errorCodes[this.code].retry;
  }

  get status(): number {
    return errorCodes[this.code].status;
  }

  get scope(): 'request' | 'session' | 'worker' {
    return errorCodes[this.code].scope;
  }
}

/** The same error as a FleetError; anything unknown becomes `internal` and keeps its cause. */
export function asFleetError(error: unknown): FleetError {
  if (error instanceof FleetError) return error;
  return new FleetError('internal', 'Something failed that was not foreseen.', { cause: error });
}
