import { TAVUS_CALLBACK } from '@tavus-fleet/contracts';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import type { Log } from './log.ts';
import { WebhookOutbox } from './outbox.ts';
import { wordScript } from './scripts.ts';

const callbackScript = wordScript('tavus-callback', ['taken', 'seen', 'stale', 'full', 'absent']);

/** Far above what Tavus sends of one call; bounds what somebody with a leaked token could write. */
const MAX_CALLBACKS = 200;

/** What came from Tavus of one call. `mark` is equal for what is to be taken once. */
export type TavusNotice = {
  readonly tavusConversationId: string;
  readonly mark: string;
  /** The call is over, in Tavus' words. */
  readonly shutdownReason?: string;
  /** For the backend, as a `message` event. */
  readonly message?: unknown;
};
export type NoticeOutcome = 'taken' | 'seen' | 'stale' | 'full' | 'absent';

/** Merges Tavus' callbacks into record and events. The owner hears of a shutdown with its next lease renewal. */
export class TavusNotices {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;
  readonly #outbox: WebhookOutbox;

  constructor(redis: RedisConnection, keys: Keys, log: Log) {
    this.#redis = redis;
    this.#keys = keys;
    this.#outbox = new WebhookOutbox(redis, keys, log);
  }

  async take(id: string, notice: TavusNotice): Promise<NoticeOutcome> {
    const { record, events } = this.#keys.conversation(id);
    const { tavusConversationId, mark, shutdownReason = '', message } = notice;
    const json = message === undefined ? '' : JSON.stringify({ fromId: TAVUS_CALLBACK, message });
    const write = (): Promise<NoticeOutcome> =>
      redisCall(() =>
        callbackScript.run(
          this.#redis,
          [record, events],
          tavusConversationId,
          mark,
          shutdownReason,
          json,
          MAX_CALLBACKS,
        ),
      );
    return json === '' ? write() : this.#outbox.around(id, write);
  }
}
