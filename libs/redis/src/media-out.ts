import {
  audioFields,
  videoFields,
  type AudioEntry,
  type Ownership,
  type UserAudioEntry,
  type VideoEntry,
} from '@tavus-fleet/contracts';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import { listScript } from './scripts.ts';

const appendScript = listScript('append-media');

/** Half a minute: what a consumer that was away finds; older entries go first. */
const KEPT_MS = 30_000;
const MEBIBYTE = 1024 * 1024;
/** … or less, when it is more than this. Audio at 48 kHz is 2.9 MB in that time, a 720p picture of 1.5 Mbit/s 5.6 MB. */
export const keptBytes = { audio: 4 * MEBIBYTE, userAudio: 8 * MEBIBYTE, video: 16 * MEBIBYTE } as const;

/** A conversation's output streams, written by its owner. Each appends in one round trip; false = fenced: somebody else owns the conversation. Rejects with `redis-unavailable`. */
type MediaOut = {
  audio(entries: readonly AudioEntry[]): Promise<boolean>;
  userAudio(entries: readonly UserAudioEntry[]): Promise<boolean>;
  video(entries: readonly VideoEntry[]): Promise<boolean>;
};

export function mediaOut(redis: RedisConnection, keys: Keys, owner: Ownership): MediaOut {
  const { record, audio, userAudio, video } = keys.conversation(owner.conversationId);
  const log = (stream: string, kept: number): MediaLog => new MediaLog(redis, { record, stream }, owner, kept);
  const sound = log(audio, keptBytes.audio);
  const voices = log(userAudio, keptBytes.userAudio);
  const pictures = log(video, keptBytes.video);
  return {
    audio: (entries) => sound.append(entries.map(audioFields)),
    userAudio: (entries) => voices.append(entries.map(audioFields)),
    video: (entries) => pictures.append(entries.map(videoFields)),
  };
}

/**
 * One stream, bounded by time in Redis and by bytes from here: it knows the size of what it added. What an earlier owner added it
 * does not count; that is gone after half a minute.
 */
class MediaLog {
  readonly #redis: RedisConnection;
  readonly #keys: { readonly record: string; readonly stream: string };
  readonly #owner: Ownership;
  readonly #keptBytes: number;
  #added: { readonly id: string; readonly bytes: number }[] = [];
  #bytes = 0;

  constructor(
    redis: RedisConnection,
    keys: { readonly record: string; readonly stream: string },
    owner: Ownership,
    kept: number,
  ) {
    this.#redis = redis;
    this.#keys = keys;
    this.#owner = owner;
    this.#keptBytes = kept;
  }

  async append(entries: readonly (readonly (string | Uint8Array)[])[]): Promise<boolean> {
    const [first] = entries;
    if (!first) return true;
    const sizes = entries.map(sizeOf);
    const { epoch, nonce } = this.#owner;
    const ids = await redisCall(() =>
      appendScript.run(
        this.#redis,
        [this.#keys.record, this.#keys.stream],
        epoch,
        nonce,
        KEPT_MS,
        this.#oldestKept(sizes.reduce((sum, size) => sum + size, 0)),
        first.length,
        ...entries.flat().map((field) => (typeof field === 'string' ? field : bufferOf(field))),
      ),
    );
    for (const [at, id] of ids.entries()) this.#count(id, sizes[at] ?? 0);
    return ids.length > 0;
  }

  /** Id of the oldest entry that has room beside so many new bytes; '' = all have. */
  #oldestKept(coming: number): string {
    let gone = false;
    while (this.#bytes + coming > this.#keptBytes) {
      const oldest = this.#added.shift();
      if (!oldest) break; // what comes is larger than the bound: it is a batch, and the next one cuts it down
      this.#bytes -= oldest.bytes;
      gone = true;
    }
    const [oldest] = this.#added;
    return gone && oldest ? oldest.id : '';
  }

  #count(id: string, bytes: number): void {
    this.#added.push({ id, bytes });
    this.#bytes += bytes;
    const since = Number.parseInt(id, 10) - KEPT_MS;
    for (let oldest = this.#added[0]; oldest && Number.parseInt(oldest.id, 10) < since; oldest = this.#added[0]) {
      this.#added.shift();
      this.#bytes -= oldest.bytes;
    }
  }
}

const sizeOf = (fields: readonly (string | Uint8Array)[]): number =>
  fields.reduce((sum, field) => sum + (typeof field === 'string' ? field.length : field.byteLength), 0);

/** A view, not a copy: the driver takes only Buffers for bytes. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
