import { z } from 'zod';
import type { EntryFields, MalformedFrame } from './frames.ts';
import { SampleRate } from './start-request.ts';

/**
 * When the sound began or the picture was there, ms since 1970, with decimals. One clock for `audio`, `video` and `user-audio`:
 * entries with the same time belong together. It goes on over a change of owner.
 */
const Pts = z.number().nonnegative();
const Bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.byteLength > 0, 'holds no bytes');

/** One entry of `fleet:{id}:audio`: 20 ms of the avatar's voice, interleaved s16le PCM. */
export const AudioEntry = z.object({
  rate: SampleRate,
  channels: z.int().min(1).max(2),
  audio: Bytes,
  pts: Pts,
});
export type AudioEntry = z.infer<typeof AudioEntry>;

/** One entry of `fleet:{id}:user-audio`: 20 ms of one user's voice. `participant` is the id that `participant-joined` names. */
export const UserAudioEntry = AudioEntry.extend({ participant: z.string().min(1).max(128) });
export type UserAudioEntry = z.infer<typeof UserAudioEntry>;

/**
 * How the bytes of a picture are to be read. `jpeg`: a whole picture. The others are the avatar's own codec, by its RTP name in
 * lower case: `vp8` is one frame of RFC 6386, `h264` one access unit in Annex B (SPS and PPS stand in every key frame).
 */
export const VideoFormat = z.enum(['jpeg', 'vp8', 'h264', 'vp9', 'av1']);
export type VideoFormat = z.infer<typeof VideoFormat>;

/** One entry of `fleet:{id}:video`. `key`: can be shown without any earlier one; always so for `jpeg`. */
export const VideoEntry = z.object({
  format: VideoFormat,
  width: z.int().min(1).max(16_384),
  height: z.int().min(1).max(16_384),
  pts: Pts,
  key: z.boolean(),
  frame: Bytes,
});
export type VideoEntry = z.infer<typeof VideoEntry>;

type Parsed<T> = { readonly entry: T } | { readonly malformed: MalformedFrame };

/** Parses one entry of `fleet:{id}:audio`. Unknown fields are ignored. */
export function parseAudioEntry(fields: EntryFields): Parsed<AudioEntry> {
  return parse(AudioEntry, soundOf(fields));
}

/** Parses one entry of `fleet:{id}:user-audio`. Unknown fields are ignored. */
export function parseUserAudioEntry(fields: EntryFields): Parsed<UserAudioEntry> {
  return parse(UserAudioEntry, { ...soundOf(fields), participant: text(fields, 'participant') });
}

/** Parses one entry of `fleet:{id}:video`. Unknown fields are ignored. */
export function parseVideoEntry(fields: EntryFields): Parsed<VideoEntry> {
  const key = text(fields, 'key');
  return parse(VideoEntry, {
    format: text(fields, 'format'),
    width: number(fields, 'width'),
    height: number(fields, 'height'),
    pts: number(fields, 'pts'),
    key: key === '1' || key === '0' ? key === '1' : undefined,
    frame: fields.get('frame'),
  });
}

/** The fields of an entry, in the order XADD takes them. The inverse of {@link parseAudioEntry} and {@link parseUserAudioEntry}. */
export function audioFields(entry: AudioEntry | UserAudioEntry): (string | Uint8Array)[] {
  return [
    'rate',
    String(entry.rate),
    'channels',
    String(entry.channels),
    'audio',
    entry.audio,
    'pts',
    entry.pts.toFixed(1),
    ...('participant' in entry ? ['participant', entry.participant] : []),
  ];
}

/** The same for pictures. The inverse of {@link parseVideoEntry}. */
export function videoFields(entry: VideoEntry): (string | Uint8Array)[] {
  return [
    'format',
    entry.format,
    'width',
    String(entry.width),
    'height',
    String(entry.height),
    'pts',
    entry.pts.toFixed(1),
    'key',
    entry.key ? '1' : '0',
    'frame',
    entry.frame,
  ];
}

function parse<T>(schema: z.ZodType<T>, candidate: Record<string, unknown>): Parsed<T> {
  const result = schema.safeParse(candidate);
  if (result.success) return { entry: result.data };
  const issue = result.error.issues[0];
  return { malformed: { field: issue?.path.join('.') || 'entry', problem: issue?.message ?? 'is malformed' } };
}

function soundOf(fields: EntryFields): Record<string, unknown> {
  return {
    rate: number(fields, 'rate'),
    channels: number(fields, 'channels'),
    audio: fields.get('audio'),
    pts: number(fields, 'pts'),
  };
}

// One for all: making a decoder costs more than decoding a field with it.
const decoder = new TextDecoder();

function text(fields: EntryFields, name: string): string | undefined {
  const value = fields.get(name);
  return value === undefined ? undefined : decoder.decode(value);
}

/** A plain decimal; NaN for anything else, which no schema takes. */
function number(fields: EntryFields, name: string): number {
  const value = text(fields, name) ?? '';
  return /^\d{1,15}(\.\d{1,6})?$/.test(value) ? Number(value) : Number.NaN;
}
