import { FleetError, type RecordMetrics } from '@tavus-fleet/contracts';
import { retry, type Clock } from '@tavus-fleet/lifecycle';
import { UNTIL_REDIS } from '../until-redis.ts';
import type { SessionRecords, SessionSecrets } from './deps.ts';

/**
 * The record of a conversation to the session that owns it and is about to go live: asked again while Redis is silent, until the signal
 * aborts. That somebody else owns it is an error here (`lease-lost`): there is nothing that such a session could go on with.
 */
export class OwnRecord {
  readonly #records: SessionRecords;
  readonly #clock: Clock;
  #secrets: SessionSecrets | undefined;

  constructor(records: SessionRecords, clock: Clock) {
    this.#records = records;
    this.#clock = clock;
  }

  /** Known once they were read. */
  get known(): SessionSecrets | undefined {
    return this.#secrets;
  }

  async secrets(signal: AbortSignal): Promise<SessionSecrets> {
    this.#secrets ??= await this.#untilRedis(signal, () => this.#records.secrets());
    return this.#secrets;
  }

  async moveTo(state: 'starting' | 'live', metrics: RecordMetrics, signal: AbortSignal): Promise<void> {
    const outcome = await this.#untilRedis(signal, () => this.#records.moveTo(state, metrics));
    if (outcome === 'fenced') throw lost();
    // A predecessor may have reached it, or a later state, already.
    if (outcome === 'refused' && state === 'live')
      throw new FleetError('internal', 'The record refused to become live.');
  }

  /** `replacements`: how often it was begun anew at Tavus, this time included. */
  async created(
    conversation: { conversationId: string; conversationUrl: string },
    replacements: number,
    signal: AbortSignal,
  ): Promise<void> {
    const saving = (): Promise<string> => this.#records.created(conversation, replacements);
    if ((await this.#untilRedis(signal, saving)) === 'fenced') throw lost();
  }

  leftSpeaking(signal: AbortSignal): Promise<boolean> {
    return this.#untilRedis(signal, () => this.#records.leftSpeaking());
  }

  #untilRedis<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return retry(UNTIL_REDIS, { signal, clock: this.#clock }, work);
  }
}

function lost(): FleetError {
  return new FleetError('lease-lost', 'Another worker owns the conversation.');
}
