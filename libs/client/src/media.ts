import {
  parseAudioEntry,
  parseUserAudioEntry,
  parseVideoEntry,
  type AudioEntry,
  type EntryFields,
  type UserAudioEntry,
  type VideoEntry,
} from '@tavus-fleet/contracts';
import type { Entry } from './transport.ts';

type WithId<T> = Readonly<T> & {
  /** Of its entry in the stream: where to go on (`after`). */
  readonly id: string;
};
/** Sound of the avatar: s16le, `pts` in ms since 1970. */
export type AudioBlock = WithId<AudioEntry>;
/** The same of one user; `participant` is the id that `participant-joined` names. */
export type UserAudioBlock = WithId<UserAudioEntry>;
/** A picture, or one frame of the avatar's own codec; `pts` by the same clock as the sound. */
export type Picture = WithId<VideoEntry>;

export const readAudio = (entries: AsyncIterable<Entry>): AsyncGenerator<AudioBlock, void, void> =>
  parsed(entries, parseAudioEntry);
export const readUserAudio = (entries: AsyncIterable<Entry>): AsyncGenerator<UserAudioBlock, void, void> =>
  parsed(entries, parseUserAudioEntry);
export const readVideo = (entries: AsyncIterable<Entry>): AsyncGenerator<Picture, void, void> =>
  parsed(entries, parseVideoEntry);

/** What is of no shape that this version knows is left out. */
async function* parsed<T>(
  entries: AsyncIterable<Entry>,
  parse: (fields: EntryFields) => { readonly entry: T } | { readonly malformed: unknown },
): AsyncGenerator<WithId<T>, void, void> {
  for await (const { id, fields } of entries) {
    const result = parse(fields);
    if ('entry' in result) yield { ...result.entry, id };
  }
}
