import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { callbackKey, callbackToken, conversationOfToken, parseCallback, shutdownMeaning } from './callbacks.ts';

const key = callbackKey('tavus-key', 'prod');
/** The documented envelope. */
const envelope = (event_type: string, properties: object = {}, timestamp = '2025-07-11T06:45:47.472000Z') => ({
  properties: { replica_id: 'r1', ...properties },
  conversation_id: 'c123',
  webhook_url: `https://avatars.example.com/v1/tavus/callback/${callbackToken(key, 'mine')}`,
  event_type,
  message_type: event_type.split('.')[0],
  timestamp,
});
function taken(body: unknown) {
  const parsed = parseCallback(body);
  if ('problem' in parsed) throw new Error(JSON.stringify(parsed.problem));
  return parsed.callback;
}

describe('a callback', () => {
  it('of the replica’s arrival is one, under both names and at any time', () => {
    const marks = [
      taken(envelope('system.replica_joined')).mark,
      taken(envelope('system.pal_joined', { face_id: 'r1' }, '2025-07-11T06:45:48.000000Z')).mark,
    ];
    expect(new Set(marks).size).toBe(1);
  });

  it.each(['participant_left_timeout', 'participant_left_timeout reached', 'internal error occurred at step x'])(
    'of a shutdown keeps the reason as it came: %s',
    (shutdown_reason) => {
      expect(taken(envelope('system.shutdown', { shutdown_reason }))).toEqual({
        tavusConversationId: 'c123',
        kind: 'shutdown',
        mark: 'c123:shutdown',
        shutdownReason: shutdown_reason,
      });
    },
  );

  it('of a shutdown without a reason, or with a strange one, is a shutdown', () => {
    expect(taken(envelope('system.shutdown')).shutdownReason).toBe('no reason given');
    expect(taken(envelope('system.shutdown', { shutdown_reason: { a: 1 } })).shutdownReason).toBe('no reason given');
    expect(
      taken(envelope('system.shutdown', { shutdown_reason: 'a\n\u0000b'.padEnd(999, 'x') })).shutdownReason,
    ).toHaveLength(200);
  });

  it.each([
    envelope('application.transcription_ready', { transcript: [{ role: 'user', content: 'hi' }] }),
    envelope('application.recording_ready', { bucket_name: 'b', s3_key: 'k', duration: 3 }),
    envelope('application.perception_analysis', { analysis: 'calm' }),
    envelope('application.something_new', { a: { b: [1] } }),
    { conversation_id: 'c123', properties: { guardrail: 'no-prices', guardrail_uuid: 'u1' } },
    { conversation_id: 'c123', objective_name: 'email', output_variables: { email: 'a@b' } },
  ])('is passed on as it came, without the address it came to: $event_type $objective_name', (body) => {
    const { message, kind } = taken(body);
    const { webhook_url: _, ...rest } = { webhook_url: '', ...body };
    expect(kind).toBe('message');
    expect(message).toEqual(rest);
    expect(taken(body).mark).toBe(taken(structuredClone(body)).mark);
    expect(taken({ ...body, timestamp: 'another' }).mark).not.toBe(taken(body).mark);
  });

  it.each([
    { body: undefined, field: 'body' },
    { body: [], field: 'body' },
    { body: 'text', field: 'body' },
    { body: {}, field: 'conversation_id' },
    { body: { conversation_id: 7, event_type: 'x' }, field: 'conversation_id' },
    { body: { conversation_id: 'c' }, field: 'event_type' },
    { body: { conversation_id: 'c', event_type: 'x'.repeat(200) }, field: 'event_type' },
    { body: { conversation_id: 'c', event_type: 'x', properties: [] }, field: 'properties' },
    { body: { conversation_id: 'c', event_type: 'x', timestamp: {} }, field: 'timestamp' },
  ])('that is wrong is refused by name: $field', ({ body, field }) => {
    const parsed = parseCallback(body);
    expect(parsed).toMatchObject({ problem: { field, message: expect.any(String) } });
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (body) => {
        expect(Object.keys(parseCallback(body))).toHaveLength(1);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a token', () => {
  it('is its conversation’s and of this fleet only', () => {
    const token = callbackToken(key, 'conv_1-a');
    expect(conversationOfToken(key, token)).toBe('conv_1-a');
    expect(token.length).toBeLessThanOrEqual(128);
    expect(callbackToken(key, 'x'.repeat(64)).length).toBeLessThanOrEqual(128);
    for (const other of [callbackKey('tavus-key', 'staging'), callbackKey('other-key', 'prod')])
      expect(conversationOfToken(other, token)).toBeUndefined();
    expect(conversationOfToken(key, token.replace('conv_1', 'conv_2'))).toBeUndefined();
  });

  it('is nothing else', () => {
    const token = callbackToken(key, 'c');
    const strange = fc.oneof(
      fc.string(),
      fc
        .string()
        .map((text) => token + text)
        .filter((text) => text !== token),
      fc.nat(token.length - 1).map((length) => token.slice(0, length)),
    );
    fc.assert(
      fc.property(strange, (text) => {
        expect(conversationOfToken(key, text)).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });
});

it.each([
  { reason: 'max_call_duration reached', early: true, code: 'room-ejected', says: 'minutes may be used up' },
  { reason: 'max_call_duration reached', early: false, code: 'room-ejected', says: 'max_call_duration' },
  { reason: 'out of conversational credits', early: false, code: 'tavus-credits', says: 'credits' },
  {
    reason: 'exception_encountered_during_conversation_startup',
    early: false,
    code: 'tavus-unavailable',
    says: 'exception',
  },
  {
    reason: 'bot_could_not_join_meeting_it_was_probably_ended',
    early: false,
    code: 'tavus-unavailable',
    says: 'bot_could',
  },
  { reason: 'daily_room_has_been_deleted', early: false, code: 'room-ejected', says: 'deleted' },
])('$reason (early: $early) means $code', ({ reason, early, code, says }) => {
  const meaning = shutdownMeaning(reason, early);
  expect(meaning.code).toBe(code);
  expect(meaning.says).toContain(says);
});
