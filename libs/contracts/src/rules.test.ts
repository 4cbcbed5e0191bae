/* oxlint-disable vitest/no-conditional-expect -- only legal moves are looked at */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { frameFields, parseEntry, type InboundFrame } from './frames.ts';
import { roomUrlProblem } from './room-url.ts';
import { ConversationState, isFinal, mayMove } from './state.ts';

const text = (max: number): fc.Arbitrary<string> => fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: max });
const maybe = <K extends string>(key: K, value: fc.Arbitrary<string>): fc.Arbitrary<{ [key in K]?: string }> =>
  // Safe: an object of just that key.
  fc
    .option(value, { nil: undefined })
    .map((got) => (got === undefined ? {} : { [key]: got }) as { [key in K]?: string });
const withType = <T extends string, R>(type: T, rest: fc.Arbitrary<R>): fc.Arbitrary<{ type: T } & R> =>
  rest.map((each) => ({ type, ...each }));

const frames: fc.Arbitrary<InboundFrame> = fc.oneof(
  withType('tts-started', maybe('context', text(128))),
  withType('tts-stopped', maybe('context', text(128))),
  withType('interruption', maybe('reason', text(256))),
  withType('end', maybe('reason', text(256))),
  withType('cancel', maybe('reason', text(256))),
  withType(
    'message',
    fc.record({ message: fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value))) }),
  ),
  withType('settings-update', fc.record({ settings: fc.record({ model: fc.option(text(128), { nil: null }) }) })),
  fc.record({
    type: fc.constant('tts-audio' as const),
    rate: fc.integer({ min: 8_000, max: 48_000 }),
    channels: fc.integer({ min: 1, max: 2 }),
    audio: fc.uint8Array({ minLength: 1, maxLength: 64 }).map((bytes) => new Uint8Array(bytes)),
    id: text(128),
  }),
);

function entry(fields: readonly (string | Uint8Array)[]): Map<string, Uint8Array> {
  const bytes = (field: string | Uint8Array | undefined): Uint8Array =>
    typeof field === 'string' ? new TextEncoder().encode(field) : (field ?? new Uint8Array());
  return new Map(
    Array.from({ length: fields.length / 2 }, (_, i) => [String(fields[2 * i]), bytes(fields[2 * i + 1])]),
  );
}

test('what frameFields writes parseEntry reads back', () => {
  fc.assert(
    fc.property(frames, (frame) => {
      expect(parseEntry(entry(frameFields(frame)))).toEqual({ frame });
    }),
  );
});

test.each([
  { what: 'no type', fields: [], field: 'type' },
  { what: 'an unknown type', fields: ['type', 'tts'], field: 'type' },
  { what: 'audio without audio', fields: ['type', 'tts-audio'], field: 'audio' },
  { what: 'a rate of 0', fields: ['type', 'tts-audio', 'audio', 'xx', 'rate', '0'], field: 'rate' },
  { what: 'three channels', fields: ['type', 'tts-audio', 'audio', 'xx', 'channels', '3'], field: 'channels' },
  { what: 'a message without JSON', fields: ['type', 'message'], field: 'json' },
  { what: 'broken JSON', fields: ['type', 'message', 'json', '{'], field: 'json' },
  { what: 'JSON over 64 KiB', fields: ['type', 'message', 'json', `"${'x'.repeat(65_536)}"`], field: 'json' },
  {
    what: 'JSON nested 30 000 levels',
    fields: ['type', 'message', 'json', '['.repeat(30_000) + ']'.repeat(30_000)],
    field: 'json',
  },
  { what: 'unknown settings', fields: ['type', 'settings-update', 'json', '{"modle":"x"}'], field: 'settings.modle' },
  { what: 'a context of 129', fields: ['type', 'tts-started', 'context', 'x'.repeat(129)], field: 'context' },
])('$what is malformed in $field', ({ fields, field }) => {
  expect(parseEntry(entry(fields))).toMatchObject({ malformed: { field } });
});

test('brackets inside of strings are no depth', () => {
  expect(parseEntry(entry(['type', 'message', 'json', JSON.stringify(`"${'['.repeat(500)}\\`)]))).toHaveProperty(
    'frame',
  );
});

describe('room URLs', () => {
  const allowed = ['*.daily.co', 'rooms.example.com', 'http://127.0.0.1:8090'];
  test.each([
    'https://acme.daily.co/room',
    'https://a.b.daily.co/room',
    'https://rooms.example.com/x?t=1',
    'http://127.0.0.1:8090/rooms/a',
    'https://ACME.DAILY.CO/room',
    'https://acme.daily.co:443/room',
  ])('%s may be opened', (url) => {
    expect(roomUrlProblem(url, allowed)).toBeUndefined();
  });
  test.each([
    ['https://daily.co/room', 'host'],
    ['https://evildaily.co/room', 'host'],
    ['https://acme.daily.co.evil.com/room', 'host'],
    ['https://acme.daily.co./room', 'host'],
    ['https://evil.com/acme.daily.co/room', 'host'],
    ['https://evil.com#.daily.co/room', 'host'],
    ['https://evil.com\\.daily.co/room', 'host'],
    ['https://acme.daily.co@evil.com/room', 'user name'],
    ['https://:x@acme.daily.co/room', 'user name'],
    ['https://acme.daily.co:8443/room', 'port'],
    ['http://acme.daily.co/room', 'https'],
    ['http://127.0.0.1:8091/rooms/a', 'https'],
    ['http://localhost:8090/rooms/a', 'https'],
    ['blob:http://127.0.0.1:8090/rooms/a', 'https'],
    ['javascript:alert(1)', 'https'],
    ['file:///etc/passwd', 'https'],
    ['https://acme.daily.co', 'path'],
    ['https://acme.daily.co/', 'path'],
    [`https://acme.daily.co/${'x'.repeat(512)}`, '512'],
    ['acme.daily.co/room', 'not a URL'],
    ['', 'not a URL'],
  ])('%s is refused for its %s', (url, why) => {
    expect(roomUrlProblem(url, allowed)).toContain(why);
  });
});

test('states only move forward, and nothing leaves a final one', () => {
  const order = ['queued', 'starting', 'live', 'stopping', 'final'];
  const rank = (state: ConversationState): number => order.indexOf(isFinal(state) ? 'final' : state);
  for (const from of ConversationState.options)
    for (const to of ConversationState.options)
      if (mayMove(from, to)) expect([from, to, rank(to) > rank(from)]).toEqual([from, to, true]);
  expect(ConversationState.options.filter(isFinal)).toEqual(['ended', 'canceled', 'failed']);
  expect(mayMove('queued', 'live')).toBe(false);
});
