import type { ConversationId } from './ids.ts';

/** The keys of one conversation. All carry the hash tag `{<conversationId>}`, so that one script may touch several in Cluster. */
export type ConversationKeys = {
  readonly record: string;
  readonly secrets: string;
  readonly frames: string;
  /** Hash: producer → number of its last message that is in the frames stream. */
  readonly producers: string;
  readonly events: string;
  readonly audio: string;
  readonly video: string;
  readonly userAudio: string;
  readonly lease: string;
};

/** Key names under KEY_PREFIX (default `fleet`): `fleet:{abc}:frames` is the frames stream of conversation `abc`, braces included. */
export function conversationKeys(prefix: string, id: ConversationId): ConversationKeys {
  const base = `${prefix}:{${id}}`;
  return {
    record: `${base}:record`,
    secrets: `${base}:secrets`,
    frames: `${base}:frames`,
    producers: `${base}:producers`,
    events: `${base}:events`,
    audio: `${base}:audio`,
    video: `${base}:video`,
    userAudio: `${base}:user-audio`,
    lease: `${base}:lease`,
  };
}
