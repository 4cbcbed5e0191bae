import {
  errorCodes,
  type ErrorCode,
  type FieldProblem,
  fieldProblems,
  FleetError,
  type Problem,
} from '@tavus-fleet/contracts';
import type { z } from 'zod';

/** The media type of every error answer (RFC 9457). */
export const PROBLEM_TYPE = 'application/problem+json';

/** A request whose fields are wrong; nothing was done. */
export class InvalidRequest extends Error {
  override readonly name = 'InvalidRequest';
  readonly errors: readonly FieldProblem[];

  constructor(errors: readonly FieldProblem[]) {
    super('Some fields are wrong; nothing was done.');
    this.errors = errors;
  }

  static of(error: z.core.$ZodError, where: string): InvalidRequest {
    return new InvalidRequest(fieldProblems(error.issues, where));
  }
}

const titles: Partial<Record<ErrorCode, string>> = {
  'invalid-request': 'The request has wrong fields',
  'invalid-json': 'The body is not JSON',
  unauthorized: 'A valid API key is required',
  'not-found': 'Not found',
  'method-not-allowed': 'Method not allowed',
  'conversation-id-used': 'The conversationId was used before',
  'conversation-over': 'The conversation is over',
  'idempotency-key-reused': 'The Idempotency-Key was used for another request',
  'body-too-large': 'The body is too large',
  'unsupported-media-type': 'The body must be application/json',
  'stream-full': 'Too much is waiting',
  'redis-unavailable': 'Redis does not answer',
  'shutting-down': 'This process is shutting down',
  internal: 'Something failed that was not foreseen',
};

/** What fastify itself refuses, in our codes. Its own messages are for its users, not for ours. */
const fastifyCodes: Readonly<Record<string, { code: ErrorCode; detail: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'body-too-large', detail: 'Send less in one request.' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported-media-type', detail: 'Send `content-type: application/json`.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'invalid-request',
    detail: 'The body is not as long as Content-Length says.',
  },
  FST_ERR_BAD_URL: { code: 'invalid-request', detail: 'The path is not a well-formed URL path.' },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'not-found', detail: 'A part of the path is longer than any id.' },
};

function problem(code: ErrorCode, detail: string | undefined, errors?: readonly FieldProblem[]): Problem {
  return {
    type: `urn:tavus-fleet:problem:${code}`,
    title: titles[code] ?? code,
    status: errorCodes[code].status,
    code,
    ...(detail === undefined ? {} : { detail }),
    ...(errors === undefined ? {} : { errors: [...errors] }),
  };
}

/** The answer for an error, and whether it is our fault and must be logged with its cause. The cause itself never leaves the process. */
export function problemOf(error: unknown): { problem: Problem; retryAfterMs?: number | undefined; ours: boolean } {
  if (error instanceof InvalidRequest)
    return { problem: problem('invalid-request', error.message, error.errors), ours: false };
  if (error instanceof FleetError) {
    const errors = error.field === undefined ? undefined : [{ field: error.field, message: error.message }];
    const detail = error.code === 'internal' ? undefined : error.message;
    return {
      problem: problem(error.code, detail, errors),
      retryAfterMs: error.retryAfterMs,
      ours: errorCodes[error.code].blame !== 'caller',
    };
  }
  const known = fastifyCodes[codeOf(error)];
  if (known) return { problem: problem(known.code, known.detail), ours: false };
  return { problem: problem('internal', undefined), ours: true };
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}
