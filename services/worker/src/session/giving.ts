import type { Ownership } from '@tavus-fleet/contracts';
import type { Room } from '@tavus-fleet/rooms';
import type { TavusVideoService } from '@tavus-fleet/video-service';
import type { SessionProgress } from './deps.ts';
import type { Feed } from './feed.ts';

type Parts = {
  readonly ownership: Ownership;
  readonly room: Pick<Room, 'endUserAudio'>;
  readonly service: Pick<TavusVideoService, 'atRest' | 'pause' | 'resume'>;
  readonly feed: Pick<Feed, 'isEmpty' | 'pause' | 'resume'>;
  readonly progress: () => SessionProgress;
  readonly inUserRoom: boolean;
  /** What writes or checks on behalf of an owner. */
  readonly closing: readonly ({ close(): unknown } | undefined)[];
  readonly end: (how: 'handed-over' | 'abandon') => void;
};

/**
 * What a live session does so that another worker can go on with its conversation: it stops to the sample, and goes on as before or
 * is the owner no more. From the pause until that is known a fenced write says nothing: who owns it is being changed just then.
 */
export class Giving {
  readonly #parts: Parts;
  #state: 'own' | 'paused' | 'given' = 'own';

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get ownership(): Ownership {
    return this.#parts.ownership;
  }

  /** Whoever says that the lease is lost says what is being done on purpose. */
  get isUnderWay(): boolean {
    return this.#state !== 'own';
  }

  /** Nothing is said and nothing waits: the best moment. */
  get atRest(): boolean {
    return this.#parts.feed.isEmpty && this.#parts.service.atRest;
  }

  /** Reads and plays no further, the track is gone; answers where that is. Rejects when it cannot be said: then `resume`. */
  async pause(signal: AbortSignal): Promise<SessionProgress> {
    this.#state = 'paused';
    this.#parts.feed.pause();
    await this.#parts.service.pause(signal);
    return this.#parts.progress();
  }

  /** It was not given after all. Rejects when the track does not come back: then this session cannot go on. */
  async resume(signal: AbortSignal): Promise<void> {
    this.#state = 'own';
    await this.#parts.service.resume(signal);
    this.#parts.feed.resume();
  }

  /** The heir is the owner now. */
  given(): void {
    this.#state = 'given';
    for (const part of this.#parts.closing) part?.close();
  }

  /** Somebody else is, and not by our doing. */
  lost(): void {
    this.#state = 'own';
    this.#parts.end('abandon');
  }

  /** Lets what the replica is saying out to the users, then is silent. */
  async fallSilent(maxMs: number, signal: AbortSignal): Promise<void> {
    if (this.#parts.inUserRoom) await this.#parts.room.endUserAudio(maxMs, signal);
  }

  /** The heir is seen, or will not be: out of the rooms, without a word. */
  leave(): void {
    this.#parts.end('handed-over');
  }
}
