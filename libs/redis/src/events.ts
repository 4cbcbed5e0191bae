import {
  eventPayloads,
  FleetError,
  isWebhookEvent,
  parseEventEntry,
  type EventEnvelope,
  type OutboundEvent,
  type Ownership,
} from '@tavus-fleet/contracts';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import { readEntries, type StreamEntry } from './entries.ts';
import type { Keys } from './keys.ts';
import { silentLog, type Log } from './log.ts';
import { WebhookOutbox } from './outbox.ts';
import { textScript } from './scripts.ts';

const appendScript = textScript('append-event');

/** So far back the newest of a type is looked for: about a minute of what one conversation tells. */
const NEWEST_OF = 100;

/** A page of events. `lastId` is where the next page starts, also when all entries of this one were malformed. */
export type EventPage = { readonly events: readonly EventEnvelope[]; readonly lastId: string };

/** What a conversation tells its backend: a stream of at most about 2000 entries. Times are Redis', so that they are in order over all owners. */
export class EventLog {
  readonly #redis: RedisConnection;
  readonly #keys: Keys;
  readonly #log: Log;
  readonly #outbox: WebhookOutbox;

  constructor(redis: RedisConnection, keys: Keys, log: Log = silentLog) {
    this.#redis = redis;
    this.#keys = keys;
    this.#log = log;
    this.#outbox = new WebhookOutbox(redis, keys, log);
  }

  /** Appends as the owner. Answers the entry's id, or undefined when we are not the owner any more. Throws `internal` for a payload that its schema refuses. */
  append(owner: Ownership, event: OutboundEvent): Promise<string | undefined> {
    return this.#append(owner.conversationId, owner.epoch, owner.nonce, event);
  }

  /** Appends with epoch 0 for a conversation that nobody owns. Undefined when there is no such conversation. */
  appendUnowned(id: string, event: OutboundEvent): Promise<string | undefined> {
    return this.#append(id, 0, '', event);
  }

  /** At most `count` events after `afterId` (`0` = from the start). Malformed entries are left out and logged. */
  async read(id: string, afterId: string, count: number): Promise<EventPage> {
    const raw = await redisCall(() =>
      this.#redis.xrangeBuffer(this.#keys.conversation(id).events, `(${afterId}`, '+', 'COUNT', count),
    );
    const entries = readEntries(raw);
    const events = entries.flatMap((entry) => {
      try {
        return [parseEvent(entry)];
      } catch {
        this.#log.warn({ conversationId: id, entryId: entry.id }, 'malformed event left out');
        return [];
      }
    });
    return { events, lastId: entries.at(-1)?.id ?? afterId };
  }

  /** Id of the newest event (`0` if there is none): where a subscription starts that wants only what comes. */
  async lastId(id: string): Promise<string> {
    const [newest] = await redisCall(() =>
      this.#redis.xrevrange(this.#keys.conversation(id).events, '+', '-', 'COUNT', 1),
    );
    return newest?.[0] ?? '0';
  }

  /** The newest event of one of these types, of the last hundred; undefined when there is none. */
  async newestOf(id: string, types: readonly EventEnvelope['type'][]): Promise<EventEnvelope | undefined> {
    const raw = await redisCall(() =>
      this.#redis.xrevrangeBuffer(this.#keys.conversation(id).events, '+', '-', 'COUNT', NEWEST_OF),
    );
    for (const entry of readEntries(raw)) {
      const parsed = parseEventEntry(entry.id, entry.fields);
      if ('event' in parsed && types.includes(parsed.event.type)) return parsed.event;
    }
    return undefined;
  }

  async #append(id: string, epoch: number, nonce: string, event: OutboundEvent): Promise<string | undefined> {
    const payload = eventPayloads[event.type].safeParse(event.data);
    if (!payload.success)
      throw new FleetError('internal', `An event ${event.type} does not fit its schema.`, {
        field: payload.error.issues[0]?.path.join('.') ?? 'data',
      });
    const { record, events } = this.#keys.conversation(id);
    const write = (): Promise<string> =>
      redisCall(() =>
        appendScript.run(this.#redis, [record, events], epoch, nonce, event.type, JSON.stringify(payload.data)),
      );
    const entryId = await (isWebhookEvent(event) ? this.#outbox.around(id, write) : write());
    return entryId === '' ? undefined : entryId;
  }
}

/** Reads an entry of an events stream. Throws `FleetError('internal')` naming the field when it is malformed. */
export function parseEvent(entry: StreamEntry): EventEnvelope {
  const parsed = parseEventEntry(entry.id, entry.fields);
  if ('event' in parsed) return parsed.event;
  throw new FleetError('internal', `Event ${entry.id} is malformed.`, { field: parsed.malformed.field });
}
