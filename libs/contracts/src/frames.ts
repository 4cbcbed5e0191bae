import { z } from 'zod';
import { firstProblem } from './issue-text.ts';
import { SampleRate } from './start-request.ts';
import { SettingsDelta } from './settings.ts';

/** Longest audio in one entry, bytes: over 5 s at 48 kHz stereo s16; a longer one is a mistake that would hold up the reader. */
export const MAX_AUDIO_BYTES = 1_000_000;
/** About 20 minutes of 100 ms frames: the bound on what one conversation can put into Redis. Older entries go first. */
export const MAX_FRAMES = 12_000;
const MAX_JSON_BYTES = 64 * 1024;
/** Deeper than any message means something; some thousand levels would overflow the stack of whoever walks it. */
const MAX_JSON_DEPTH = 64;

const Context = z.string().min(1).max(128).optional();
const Reason = z.string().max(256).optional();

/**
 * A frame that a backend sends, named after Pipecat's classes. `tts-audio.audio` is interleaved s16le PCM; an odd byte is
 * carried to the next frame of the utterance. System frames (interruption, cancel) overtake; the rest keep their order.
 */
export const InboundFrame = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('tts-started'), context: Context }),
  z.strictObject({ type: z.literal('tts-stopped'), context: Context }),
  z.strictObject({
    type: z.literal('tts-audio'),
    rate: SampleRate,
    channels: z.int().min(1).max(2),
    audio: z
      .instanceof(Uint8Array)
      .refine(
        (audio) => audio.byteLength > 0 && audio.byteLength <= MAX_AUDIO_BYTES,
        `must hold 1 to ${MAX_AUDIO_BYTES} bytes`,
      ),
    id: z.string().min(1).max(128).optional(),
    context: Context,
  }),
  z.strictObject({ type: z.literal('interruption'), context: Context, reason: Reason }),
  z.strictObject({ type: z.literal('settings-update'), settings: SettingsDelta }),
  z.strictObject({ type: z.literal('message'), message: z.json() }),
  z.strictObject({ type: z.literal('end'), reason: Reason }),
  z.strictObject({ type: z.literal('cancel'), reason: Reason }),
]);
export type InboundFrame = z.infer<typeof InboundFrame>;
export type FrameType = InboundFrame['type'];

/** How an entry is treated: system frames overtake; uninterruptible ones keep their order and survive an interruption. */
export const frameClass = {
  interruption: 'system',
  cancel: 'system',
  'tts-started': 'control',
  'tts-audio': 'data',
  'tts-stopped': 'control',
  message: 'data',
  'settings-update': 'uninterruptible',
  end: 'uninterruptible',
} as const satisfies Record<FrameType, 'system' | 'data' | 'control' | 'uninterruptible'>;

/** What is wrong with an entry of the frames stream; it is counted, reported and skipped, and never stops a session. */
export type MalformedFrame = { readonly field: string; readonly problem: string };

/** The fields of one stream entry: names are text, values are bytes (audio is raw). */
export type EntryFields = ReadonlyMap<string, Uint8Array>;

// One for all: making a decoder costs more than decoding a field with it.
const decoder = new TextDecoder();

/** Parses one entry of `fleet:{id}:frames`. Unknown fields are ignored, so that producers may add their own. */
export function parseEntry(fields: EntryFields): { frame: InboundFrame } | { malformed: MalformedFrame } {
  return plainAudio(fields) ?? parseAnyEntry(fields);
}

const AUDIO_TYPE = new TextEncoder().encode('tts-audio');

/**
 * The entry that comes fifty times a second for every conversation, without the schema's machinery; undefined for all that is
 * not exactly that, however little: then the schema judges. A property test holds the two to the same answers.
 */
function plainAudio(fields: EntryFields): { frame: InboundFrame } | undefined {
  const type = fields.get('type');
  const audio = fields.get('audio');
  if (type?.byteLength !== AUDIO_TYPE.byteLength || !(audio instanceof Uint8Array)) return undefined;
  for (let at = 0; at < AUDIO_TYPE.byteLength; at += 1) if (type[at] !== AUDIO_TYPE[at]) return undefined;
  if (audio.byteLength === 0 || audio.byteLength > MAX_AUDIO_BYTES || fields.has('id') || fields.has('context'))
    return undefined;
  const rate = digits(fields.get('rate'), 24_000);
  const channels = digits(fields.get('channels'), 1);
  if (rate < 8_000 || rate > 48_000 || channels < 1 || channels > 2) return undefined;
  // Safe: `instanceof` in the schema asks no more; which kind of buffer lies under the bytes matters to nobody.
  return { frame: { type: 'tts-audio', rate, channels, audio: audio as Uint8Array<ArrayBuffer> } };
}

/** A whole number of up to seven digits; -1 for anything else. */
function digits(text: Uint8Array | undefined, absent: number): number {
  if (text === undefined) return absent;
  if (text.byteLength === 0 || text.byteLength > 7) return -1;
  let value = 0;
  for (const byte of text) {
    if (byte < 0x30 || byte > 0x39) return -1;
    value = value * 10 + byte - 0x30;
  }
  return value;
}

/** The same by the schema alone, which is the definition. Exported for the test that compares the two. */
export function parseAnyEntry(fields: EntryFields): { frame: InboundFrame } | { malformed: MalformedFrame } {
  const text = (name: string): string | undefined => {
    const value = fields.get(name);
    return value === undefined ? undefined : decoder.decode(value);
  };
  const type = text('type');
  const optional = (name: string): Record<string, string> => {
    const value = text(name);
    return value === undefined || value === '' ? {} : { [name]: value };
  };
  switch (type) {
    case 'tts-audio':
      return parse({
        type,
        rate: integer(text('rate') ?? '24000'),
        channels: integer(text('channels') ?? '1'),
        audio: fields.get('audio'),
        ...optional('id'),
        ...optional('context'),
      });
    case 'tts-started':
    case 'tts-stopped':
      return parse({ type, ...optional('context') });
    case 'interruption':
      return parse({ type, ...optional('context'), ...optional('reason') });
    case 'end':
    case 'cancel':
      return parse({ type, ...optional('reason') });
    case 'settings-update':
    case 'message': {
      const raw = fields.get('json');
      if (raw === undefined) return { malformed: { field: 'json', problem: 'is missing' } };
      if (raw.byteLength > MAX_JSON_BYTES)
        return { malformed: { field: 'json', problem: `is over ${MAX_JSON_BYTES} bytes` } };
      if (depthOf(raw) > MAX_JSON_DEPTH)
        return { malformed: { field: 'json', problem: `is nested deeper than ${MAX_JSON_DEPTH} levels` } };
      const json = parseJson(raw);
      if (json === undefined) return { malformed: { field: 'json', problem: 'is not JSON' } };
      return parse(type === 'message' ? { type, message: json.value } : { type, settings: json.value });
    }
    default:
      return {
        malformed: {
          field: 'type',
          problem: type === undefined ? 'is missing' : `is not one of ${Object.keys(frameClass).join(', ')}`,
        },
      };
  }
}

function parse(candidate: Record<string, unknown>): { frame: InboundFrame } | { malformed: MalformedFrame } {
  const result = InboundFrame.safeParse(candidate);
  if (result.success) return { frame: result.data };
  const { field, message } = firstProblem(result.error, 'entry');
  return { malformed: { field, problem: message } };
}

function integer(text: string): number {
  return /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
}

function parseJson(raw: Uint8Array): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw)) };
  } catch {
    return undefined;
  }
}

/** How deeply JSON text is nested, by its brackets outside of strings. */
function depthOf(raw: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < raw.length; i += 1) {
    const byte = raw[i];
    if (inString) {
      if (byte === 0x5c) i += 1;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth -= 1;
  }
  return deepest;
}

/** The fields of an entry for a frame, in the order XADD takes them. The inverse of {@link parseEntry}. */
export function frameFields(frame: InboundFrame): (string | Uint8Array)[] {
  switch (frame.type) {
    case 'tts-audio':
      return [
        'type',
        frame.type,
        'rate',
        String(frame.rate),
        'channels',
        String(frame.channels),
        'audio',
        frame.audio,
        ...pair('id', frame.id),
        ...pair('context', frame.context),
      ];
    case 'tts-started':
    case 'tts-stopped':
      return ['type', frame.type, ...pair('context', frame.context)];
    case 'interruption':
      return ['type', frame.type, ...pair('context', frame.context), ...pair('reason', frame.reason)];
    case 'end':
    case 'cancel':
      return ['type', frame.type, ...pair('reason', frame.reason)];
    case 'settings-update':
      return ['type', frame.type, 'json', JSON.stringify(frame.settings)];
    case 'message':
      return ['type', frame.type, 'json', JSON.stringify(frame.message)];
    default:
      return frame satisfies never;
  }
}

function pair(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [name, value];
}

/** One JSON frame of `POST /v1/conversations/{id}/frames`: as {@link InboundFrame}, audio as base64. */
export const JsonFrame = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('tts-audio'),
    rate: SampleRate.default(24_000),
    channels: z.int().min(1).max(2).default(1),
    audio: z
      .base64()
      .min(1)
      .max(Math.ceil((MAX_AUDIO_BYTES * 4) / 3) + 4),
    id: z.string().min(1).max(128).optional(),
    context: Context,
  }),
  z.strictObject({ type: z.enum(['tts-started', 'tts-stopped']), context: Context }),
  z.strictObject({ type: z.literal('interruption'), context: Context, reason: Reason }),
  z.strictObject({ type: z.enum(['end', 'cancel']), reason: Reason }),
  z.strictObject({ type: z.literal('settings-update'), settings: SettingsDelta }),
  z.strictObject({ type: z.literal('message'), message: z.json() }),
]);
export type JsonFrame = z.infer<typeof JsonFrame>;
