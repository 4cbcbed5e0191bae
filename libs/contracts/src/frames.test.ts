import {
  assert,
  constant,
  constantFrom,
  nat,
  oneof,
  option,
  property,
  record,
  string,
  uint8Array,
  type Arbitrary,
} from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_AUDIO_BYTES, parseAnyEntry, parseEntry, type EntryFields } from './frames.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Text fields near what is valid: numbers at and over the edges, signs, spaces, other digits, raw bytes. */
const number = oneof(
  constantFrom(
    '',
    '0',
    '1',
    '2',
    '3',
    '7999',
    '8000',
    '24000',
    '024000',
    '48000',
    '48001',
    '00000001',
    '12345678',
    '+1',
    '-1',
    '1.0',
    '1e3',
    ' 1',
    '1 ',
    '٣',
    '\u{FEFF}1',
    '1\0',
  ),
  nat(60_000).map(String),
  string({ maxLength: 9 }),
);
const type = oneof(
  constant('tts-audio'),
  constantFrom('tts-audio ', 'tts-audiO', '\u{FEFF}tts-audio', 'tts-started', 'end', ''),
  string({ maxLength: 12 }),
);
const audio = oneof(
  { arbitrary: uint8Array({ maxLength: 40 }), weight: 40 },
  { arbitrary: constant(new Uint8Array(0)), weight: 8 },
  { arbitrary: constantFrom(MAX_AUDIO_BYTES, MAX_AUDIO_BYTES + 1).map((size) => new Uint8Array(size)), weight: 1 },
);
const optional = <T>(arbitrary: Arbitrary<T>): Arbitrary<T | undefined> => option(arbitrary, { nil: undefined });

const entries: Arbitrary<EntryFields> = record({
  type: optional(type.map(bytes)),
  rate: optional(oneof(number.map(bytes), uint8Array({ maxLength: 8 }))),
  channels: optional(oneof(number.map(bytes), uint8Array({ maxLength: 3 }))),
  audio: optional(audio),
  id: option(string({ maxLength: 140 }).map(bytes), { nil: undefined, freq: 1 }),
  context: option(string({ maxLength: 140 }).map(bytes), { nil: undefined, freq: 1 }),
  extra: optional(uint8Array({ maxLength: 4 })),
}).map(
  (fields) => new Map(Object.entries(fields).filter((field): field is [string, Uint8Array] => field[1] !== undefined)),
);

type Parsed = ReturnType<typeof parseEntry>;
const audioOf = (parsed: Parsed): unknown =>
  'frame' in parsed && parsed.frame.type === 'tts-audio' ? parsed.frame.audio : undefined;
const withoutAudio = (parsed: Parsed): object => ('frame' in parsed ? { ...parsed.frame, audio: undefined } : parsed);

describe('parseEntry', () => {
  it('answers exactly what the schema answers, for audio that is nearly right too', () => {
    assert(
      property(entries, (fields) => {
        const [quick, defined] = [parseEntry(fields), parseAnyEntry(fields)];
        // The PCM is the same object in both; comparing a megabyte value by value takes longer than all the rest.
        expect(audioOf(quick)).toBe(audioOf(defined));
        expect(withoutAudio(quick)).toEqual(withoutAudio(defined));
      }),
      { numRuns: 2_000 },
    );
  });

  it('hands the audio on as it came, without a copy', () => {
    const pcm = Uint8Array.of(1, 2, 3, 4);
    const parsed = parseEntry(
      new Map([
        ['type', bytes('tts-audio')],
        ['rate', bytes('16000')],
        ['audio', pcm],
      ]),
    );
    expect(parsed).toEqual({ frame: { type: 'tts-audio', rate: 16_000, channels: 1, audio: pcm } });
    expect('frame' in parsed && parsed.frame.type === 'tts-audio' && parsed.frame.audio).toBe(pcm);
  });

  it('names the field that is wrong', () => {
    const parsed = parseEntry(
      new Map([
        ['type', bytes('tts-audio')],
        ['rate', bytes('7999')],
        ['audio', Uint8Array.of(1, 2)],
      ]),
    );
    expect(parsed).toMatchObject({ malformed: { field: 'rate' } });
  });
});
