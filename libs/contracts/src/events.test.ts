import { describe, expect, it } from 'vitest';
import { parseEventEntry, parseEventLine } from './events.ts';

const at = Date.parse('2026-11-25T03:00:00.000Z');
const event = { id: '5-0', type: 'ended', at, epoch: 2, data: { endReason: 'stopped' } };
const entry = (fields: Record<string, string>): Map<string, Uint8Array> =>
  new Map(Object.entries(fields).map(([name, text]) => [name, new TextEncoder().encode(text)]));

it('reads the same event from the stream in Redis and from a line of the api', () => {
  const fields = { type: 'ended', at: String(at), epoch: '2', json: '{"endReason":"stopped"}' };
  expect(parseEventEntry('5-0', entry(fields))).toEqual({ event });
  expect(parseEventLine(JSON.stringify({ ...event, at: new Date(at).toISOString() }))).toEqual({ event });
});

describe('a line that is no event', () => {
  const line = { ...event, at: new Date(at).toISOString() };
  it.each([
    ['no JSON', '{"id":', 'data'],
    ['a time that is none', JSON.stringify({ ...line, at: 'soon' }), 'at'],
    ['a type that a newer owner may know', JSON.stringify({ ...line, type: 'sneezed' }), 'type'],
    ['an epoch below zero', JSON.stringify({ ...line, epoch: -1 }), 'epoch'],
    ['a payload of another type', JSON.stringify({ ...line, data: { playedMs: 1 } }), 'json'],
  ])('says so: %s', (_, text, field) => {
    expect(parseEventLine(text)).toMatchObject({ malformed: { field } });
  });
});
