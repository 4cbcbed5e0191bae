import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failureOf, networkFailure } from './errors.ts';

const nowMs = Date.parse('2026-08-01T12:00:00Z');
const of = (status: number, body: unknown = {}, retryAfter?: string) =>
  failureOf({ status, body: typeof body === 'string' ? body : JSON.stringify(body), retryAfter, nowMs });

describe('failureOf', () => {
  it.each([
    { status: 401, body: { message: 'Invalid access token' }, code: 'tavus-auth', retry: false },
    {
      status: 402,
      body: { message: 'The user is out of conversational credits.' },
      code: 'tavus-credits',
      retry: false,
    },
    {
      status: 400,
      body: { message: 'User has reached maximum concurrent conversations' },
      code: 'tavus-capacity',
      retry: true,
    },
    {
      status: 429,
      body: { error: 'User has reached Maximum Concurrent Conversations.' },
      code: 'tavus-capacity',
      retry: true,
    },
    { status: 400, body: { error: 'Invalid replica_uuid' }, code: 'tavus-invalid-request', retry: false },
    { status: 403, body: {}, code: 'tavus-invalid-request', retry: false },
    { status: 404, body: {}, code: 'tavus-invalid-request', retry: false },
    { status: 422, body: { message: 'nope' }, code: 'tavus-invalid-request', retry: false },
    { status: 408, body: {}, code: 'tavus-timeout', retry: true },
    { status: 429, body: {}, code: 'tavus-rate-limit', retry: true },
    { status: 500, body: '<html>oops</html>', code: 'tavus-unavailable', retry: true },
    { status: 503, body: '', code: 'tavus-unavailable', retry: true },
    { status: 302, body: '', code: 'tavus-bad-answer', retry: true },
  ])('$status $body → $code', ({ status, body, code, retry }) => {
    expect(of(status, body)).toMatchObject({ code, retry, httpStatus: status, outcomeUnknown: false });
  });

  it.each([
    { body: { error: 'Invalid face_id' }, says: 'Tavus answered 400: Invalid face_id' },
    { body: { message: 'Invalid persona_id' }, says: 'Tavus answered 400: Invalid persona_id' },
    { body: { error: { replica_id: ['Missing data'] } }, says: 'Tavus answered 400: {"replica_id":["Missing data"]}' },
    { body: 'not json', says: 'Tavus answered 400.' },
    { body: ['x'], says: 'Tavus answered 400.' },
  ])('says what Tavus said: $says', ({ body, says }) => {
    expect(of(400, body).message).toBe(says);
  });

  it('keeps rooms, keys and tokens out of its message', () => {
    const { message } = of(400, {
      error: 'https://tavus.daily.co/c123?t=abc refused eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyIjoiYzEifQ for\n key',
    });
    expect(message).toBe('Tavus answered 400: [url] refused [redacted] for key');
  });

  it.each([
    { header: '7', ms: 7000 },
    { header: ' 0 ', ms: 0 },
    { header: '86400', ms: 60_000 },
    { header: 'Sat, 01 Aug 2026 12:00:05 GMT', ms: 5000 },
    { header: 'Sat, 01 Aug 2026 11:00:00 GMT', ms: 0 },
    { header: 'soon', ms: undefined },
    { header: '-3', ms: undefined },
    { header: '1.5', ms: undefined },
    { header: undefined, ms: undefined },
  ])('Retry-After $header → $ms', ({ header, ms }) => {
    expect(of(429, {}, header).retryAfterMs).toBe(ms);
  });

  it('makes a failure of any answer, with a message of bounded length', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 300, max: 599 }),
        fc.oneof(fc.string(), fc.json()),
        fc.option(fc.string(), { nil: undefined }),
        (status, body, retryAfter) => {
          const failure = of(status, body, retryAfter);
          expect(failure.code).toMatch(/^tavus-/);
          expect(failure.message.length).toBeLessThan(350);
          expect(failure.retryAfterMs ?? 0).toBeLessThanOrEqual(60_000);
        },
      ),
    );
  });
});

it.each([
  { code: 'ECONNREFUSED', sent: false },
  { code: 'ENOTFOUND', sent: false },
  { code: 'ECONNRESET', sent: true },
  { code: 'UND_ERR_SOCKET', sent: true },
])('no answer because of $code: sent = $sent', ({ code, sent }) => {
  const seen = networkFailure(Object.assign(new Error('x'), { code }));
  expect(seen.sent).toBe(sent);
  expect(seen.failure).toMatchObject({ code: 'tavus-unavailable', retry: true });
});
