import { createHash } from 'node:crypto';
import { Secret } from '@tavus-fleet/config';
import {
  ConversationRecord,
  FleetError,
  finalState,
  isFinal,
  splitRequest,
  type EndReason,
  type EventEnvelope,
  type InboundFrame,
  type OutboundEvent,
  type WorkerView,
} from '@tavus-fleet/contracts';
import { systemClock, type Clock } from '@tavus-fleet/lifecycle';
import { createLogger, createMetrics } from '@tavus-fleet/telemetry';
import { callbackKey } from '@tavus-fleet/tavus';
import { buildApp, type App, type AppDeps } from './app.ts';
import type { Notice } from './ports.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
export const CALLBACK_KEY = callbackKey('tavus-key', 'test');
export const KEY = 'key-of-a';
export const OTHER_KEY = 'key-of-b';
export const asA = { authorization: `Bearer ${KEY}` };
export const asB = { authorization: `Bearer ${OTHER_KEY}` };

/** The outside of the API in memory: everything a route may do, kept where a test can look. `down` makes Redis silent. */
export class World {
  readonly records = new Map<string, ConversationRecord>();
  readonly asked = new Set<string>();
  readonly started: string[] = [];
  readonly frames: { conversationId: string; frame: InboundFrame }[] = [];
  readonly producers = new Map<string, number>();
  readonly claims = new Map<string, { requestHash: string; conversationId: string }>();
  readonly events = new Map<string, EventEnvelope[]>();
  readonly watchers = new Map<string, Set<() => void>>();
  readonly notices: { conversationId: string; notice: Notice }[] = [];
  readonly workers = new Map<string, WorkerView>();
  readonly drained: string[] = [];
  readonly logs: string[] = [];
  readonly draining = new AbortController();
  down: 'no' | 'all' | 'jobs' | 'jobs-then-all' = 'no';
  framesFull = false;
  #nextEvent = 1;

  deps(clock: Clock = systemClock): AppDeps {
    return {
      conversations: {
        create: async ({ request, createdBy, conversationId }) => {
          this.#up();
          const existing = this.records.get(conversationId);
          if (existing) return { outcome: 'exists', record: existing };
          const record = ConversationRecord.parse({
            conversationId,
            createdBy,
            state: 'queued',
            epoch: 0,
            createdAt: 1_800_000_000_000 + this.records.size,
            spec: splitRequest(request).spec,
          });
          this.records.set(conversationId, record);
          return { outcome: 'created', record };
        },
        get: async (id) => {
          this.#up();
          return this.records.get(id);
        },
        place: async (id) => {
          const waiting = [...this.records.values()].filter(({ state }) => state === 'queued');
          const index = waiting.findIndex(({ conversationId }) => conversationId === id);
          return index === -1 ? undefined : { position: index + 1, ageMs: 0 };
        },
        list: async ({ createdBy, state, cursor, limit }) => {
          const own = [...this.records.values()]
            .filter((each) => createdBy.includes(each.createdBy) && (state === undefined || each.state === state))
            .toReversed();
          const from = cursor === undefined ? 0 : own.findIndex((each) => each.conversationId === cursor) + 1;
          const records = own.slice(from, from + limit);
          const last = records.at(-1);
          return last && from + limit < own.length ? { records, cursor: last.conversationId } : { records };
        },
        desire: async (id, verb) => {
          const record = this.records.get(id);
          if (!record) return 'absent';
          const mark = `${id}:${verb}`;
          if (isFinal(record.state)) return this.asked.has(mark) ? 'already' : 'over';
          if (this.asked.has(mark)) return 'already';
          this.asked.add(mark);
          this.set(id, { desired: verb });
          if (record.state !== 'queued') return 'accepted';
          this.end(id, verb === 'stop' ? 'stopped' : 'canceled');
          return 'final';
        },
        failUnowned: async (id, endReason) => {
          this.#up();
          this.end(id, endReason);
          return 'ended';
        },
        updateSettings: async (id, delta) => {
          const record = this.records.get(id);
          if (!record) return { outcome: 'absent' };
          if (isFinal(record.state)) return { outcome: 'final' };
          this.frames.push({ conversationId: id, frame: { type: 'settings-update', settings: delta } });
          return {
            outcome: 'changed',
            changed: delta.model === undefined ? {} : { model: record.settings.model ?? null },
          };
        },
      },
      jobs: {
        start: async (id) => {
          if (this.down === 'jobs-then-all') this.down = 'all';
          if (this.down === 'jobs') throw new FleetError('redis-unavailable', 'Redis does not answer.');
          this.#up();
          this.started.push(id);
        },
      },
      idempotency: {
        claim: async ({ createdBy, idempotencyKey, requestHash, conversationId }) => {
          this.#up();
          const kept = this.claims.get(`${createdBy} ${idempotencyKey}`);
          if (kept)
            return {
              outcome: kept.requestHash === requestHash ? 'same' : 'different',
              conversationId: kept.conversationId,
            };
          this.claims.set(`${createdBy} ${idempotencyKey}`, { requestHash, conversationId });
          return { outcome: 'new', conversationId };
        },
        release: async ({ createdBy, idempotencyKey }) => void this.claims.delete(`${createdBy} ${idempotencyKey}`),
      },
      frames: {
        append: async (conversationId, frame) => {
          this.#up();
          if (this.framesFull) throw new FleetError('stream-full', 'The conversation is too far behind.');
          return `${this.frames.push({ conversationId, frame })}-0`;
        },
        appendNumbered: async (conversationId, frame, { producer, number }) => {
          this.#up();
          if (this.framesFull) throw new FleetError('stream-full', 'The conversation is too far behind.');
          const key = `${conversationId} ${producer}`;
          if (number <= (this.producers.get(key) ?? 0)) return undefined;
          this.producers.set(key, number);
          return `${this.frames.push({ conversationId, frame })}-0`;
        },
        accepted: async (conversationId, producer) => {
          this.#up();
          return this.producers.get(`${conversationId} ${producer}`) ?? 0;
        },
      },
      events: {
        read: async (id, after, count) => {
          this.#up();
          const events = (this.events.get(id) ?? [])
            .filter((event) => Number.parseInt(event.id, 10) > Number.parseInt(after, 10))
            .slice(0, count);
          return { events, lastId: events.at(-1)?.id ?? after };
        },
        watch: (id, after, onNews) => {
          if ((this.events.get(id) ?? []).some((event) => Number.parseInt(event.id, 10) > Number.parseInt(after, 10)))
            onNews();
          const set = this.watchers.get(id) ?? new Set();
          this.watchers.set(id, set.add(onNews));
          return () => {
            set.delete(onNews);
            if (set.size === 0) this.watchers.delete(id);
          };
        },
      },
      notices: {
        take: async (conversationId, notice) => {
          this.#up();
          if (!this.records.has(conversationId)) return 'absent';
          if (this.notices.some((one) => one.notice.mark === notice.mark)) return 'seen';
          this.notices.push({ conversationId, notice });
          return 'taken';
        },
      },
      callbackKey: new Secret(CALLBACK_KEY),
      personas: {
        getPersona: async (personaId) => {
          if (personaId === 'gone') throw new FleetError('not-found', 'Tavus knows no such persona.');
          if (personaId === 'broken') throw new FleetError('tavus-unavailable', 'Tavus answered 500.');
          return { personaName: `Name of ${personaId}` };
        },
      },
      workers: {
        list: async () => [...this.workers.values()],
        drain: async (id) => this.workers.has(id) && this.drained.push(id) > 0,
      },
      health: { check: async () => this.#up() },
      keys: new Secret([
        { name: 'a', sha256: sha256(KEY) },
        { name: 'b', sha256: sha256(OTHER_KEY) },
      ]),
      userRoomHosts: ['*.daily.co'],
      publicUrl: undefined,
      log: createLogger({ name: 'api', level: 'debug', destination: { write: (line) => void this.logs.push(line) } }),
      metrics: createMetrics({ only: ['fleet_queue_oldest_seconds'] }),
      clock,
      version: '0.0.0',
      draining: this.draining.signal,
    };
  }

  app(clock?: Clock): Promise<App> {
    return buildApp(this.deps(clock));
  }

  set(id: string, change: Partial<ConversationRecord>): void {
    const record = this.records.get(id);
    if (record) this.records.set(id, { ...record, ...change });
  }

  end(id: string, endReason: EndReason): void {
    this.set(id, { state: finalState(endReason), endReason, endedAt: 1_800_000_000_500 });
  }

  /** Appends an event and rings its watchers, as the shared reader does. */
  tell(id: string, event: OutboundEvent): string {
    const eventId = `${this.#nextEvent++}-0`;
    this.events.set(id, [...(this.events.get(id) ?? []), { id: eventId, at: 1_800_000_000_000, epoch: 1, ...event }]);
    for (const ring of this.watchers.get(id) ?? []) ring();
    return eventId;
  }

  #up(): void {
    if (this.down === 'all') throw new FleetError('redis-unavailable', 'Redis does not answer.');
  }
}

/** A request body that is accepted. */
export const body = {
  replicaId: 'r1',
  output: { room: { url: 'https://acme.daily.co/room-secret', token: 'token-secret' } },
};
