import {
  ConversationRecord,
  FleetError,
  StartRequest,
  WebhookBody,
  splitRequest,
  type ConversationState,
  type DeliverData,
  type EventEnvelope,
  type OutboundEvent,
} from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import type { DueConversation } from '@tavus-fleet/redis';
import { describe, expect, it } from 'vitest';
import { WebhookRelay, type RelayPort } from './relay.ts';

/** Redis in memory, and a death at any step: `dies` counts down the calls until one rejects. */
class World {
  readonly clock = new FakeClock();
  readonly records = new Map<string, ConversationRecord>();
  readonly streams = new Map<string, EventEnvelope[]>();
  readonly upTo = new Map<string, string>();
  readonly index = new Map<string, number>();
  readonly queued: { key: string; data: DeliverData }[] = [];
  readonly warned: string[] = [];
  dies = Number.POSITIVE_INFINITY;

  start(id: string, createdBy = 'backend'): void {
    const { spec } = splitRequest(StartRequest.parse({ replicaId: 'r', metadata: { order: 7 } }));
    this.records.set(
      id,
      ConversationRecord.parse({ conversationId: id, createdBy, state: 'queued', epoch: 0, createdAt: 1, spec }),
    );
    this.tell(id, { type: 'state', data: { state: 'queued' } });
  }

  tell(id: string, event: OutboundEvent): void {
    const stream = this.streams.get(id) ?? [];
    const envelope = { id: `${stream.length + 1}-0`, at: 1_800_000_000_000, epoch: 1, ...event };
    this.streams.set(id, [...stream, envelope]);
    this.index.set(id, 0);
  }

  end(id: string, state: ConversationState = 'ended'): void {
    const record = this.records.get(id);
    if (record) this.records.set(id, { ...record, state });
    this.tell(id, { type: 'ended', data: { endReason: 'stopped' } });
  }

  relay(endpoints: readonly string[] = ['backend'], queueOwner?: string): WebhookRelay {
    return new WebhookRelay({
      port: this.#port(),
      endpoints: new Set(endpoints),
      queueOwner,
      clock: this.clock,
      log: { warn: (_, text) => void this.warned.push(text) },
    });
  }

  ids(): string[] {
    return this.queued.map(({ data }) => data.id);
  }

  #port(): RelayPort {
    const step = <T>(work: () => T): Promise<T> => {
      if (this.dies-- <= 0) return Promise.reject(new FleetError('redis-unavailable', 'gone'));
      return Promise.resolve(work());
    };
    return {
      due: () =>
        step(() => {
          const due: DueConversation[] = [...this.index]
            .filter(([, at]) => at <= 0)
            .map(([id]) => ({ id, claim: '9' }));
          for (const { id } of due) this.index.set(id, 9);
          return due;
        }),
      conversation: (id) =>
        step(() => {
          if (id === 'broken') throw new FleetError('internal', 'malformed', { field: 'spec' });
          return this.records.get(id);
        }),
      relayedUpTo: (id) => step(() => this.upTo.get(id) ?? '0'),
      events: (id, after) =>
        step(() => {
          const events = (this.streams.get(id) ?? []).filter(
            (event) => Number.parseInt(event.id, 10) > Number.parseInt(after, 10),
          );
          const page = events.slice(0, 3);
          return { events: page, lastId: page.at(-1)?.id ?? after };
        }),
      enqueue: (key, webhooks) =>
        step(() => {
          for (const data of webhooks) if (!this.ids().includes(data.id)) this.queued.push({ key, data });
        }),
      advance: (id, eventId) => step(() => this.upTo.set(id, eventId)),
      done: ({ id, claim }) => step(() => this.index.get(id) === Number(claim) && this.index.delete(id)),
    };
  }
}

describe('what becomes a webhook', () => {
  it('is what changes what the backend must do, each once, in the key’s queue', async () => {
    const w = new World();
    w.start('c1');
    w.tell('c1', { type: 'bot-started-speaking', data: { source: 'audio' } });
    w.tell('c1', { type: 'error', data: { code: 'room-lost', category: 'connectivity', fatal: false } });
    w.tell('c1', { type: 'error', data: { code: 'internal', category: 'application', fatal: true } });
    w.tell('c1', { type: 'message', data: { fromId: 'b3e8', message: 'in the call' } });
    w.tell('c1', { type: 'message', data: { fromId: 'tavus', message: { event_type: 'x' } } });
    w.tell('c1', { type: 'takeover', data: { fromEpoch: 1 } });
    w.end('c1');
    const relay = w.relay();
    await relay.look();
    await relay.look();
    expect(w.ids()).toEqual(['evt_c1_1-0', 'evt_c1_4-0', 'evt_c1_6-0', 'evt_c1_7-0', 'evt_c1_8-0']);
    expect(w.queued.every(({ key }) => key === 'backend')).toBe(true);
    const bodies = w.queued.map(({ data }) => WebhookBody.parse(JSON.parse(data.body)));
    expect(bodies.map(({ type }) => type)).toEqual([
      'conversation.state',
      'conversation.error',
      'conversation.message',
      'conversation.takeover',
      'conversation.ended',
    ]);
    expect(bodies.at(-1)).toMatchObject({
      timestamp: '2027-01-15T08:00:00.000Z',
      data: { conversationId: 'c1', metadata: { order: 7 }, event: { id: '8-0', data: { endReason: 'stopped' } } },
    });
    expect(w.index.size).toBe(0);
  });

  it('is small: what is too large is left out and said', async () => {
    const w = new World();
    w.start('c1');
    w.tell('c1', { type: 'message', data: { fromId: 'tavus', message: 'x'.repeat(100_000) } });
    await w.relay().look();
    const { data } = WebhookBody.parse(JSON.parse(w.queued[1]?.data.body ?? ''));
    expect(data.omittedBytes).toBeGreaterThan(100_000);
    expect(data.event).toMatchObject({ id: '2-0', type: 'message', data: {} });
  });

  it.each([
    { createdBy: 'backend', queueOwner: undefined, webhooks: 1 },
    { createdBy: 'other', queueOwner: undefined, webhooks: 0 },
    { createdBy: '(queue)', queueOwner: 'backend', webhooks: 1 },
    { createdBy: '(queue)', queueOwner: undefined, webhooks: 0 },
  ])(
    'of a conversation by $createdBy, queue owner $queueOwner: $webhooks',
    async ({ createdBy, queueOwner, webhooks }) => {
      const w = new World();
      w.start('c1', createdBy);
      await w.relay(['backend'], queueOwner).look();
      expect(w.queued).toHaveLength(webhooks);
      expect(w.index.has('c1')).toBe(webhooks > 0); // what nobody wants to hear of is forgotten
    },
  );
});

describe('a conversation in the index', () => {
  it('stays until its end was relayed, and comes back for what is written later', async () => {
    const w = new World();
    w.start('c1');
    const relay = w.relay();
    await relay.look();
    expect(w.index.get('c1')).toBe(9);
    w.end('c1');
    await relay.look();
    expect(w.index.size).toBe(0);
    w.tell('c1', { type: 'message', data: { fromId: 'tavus', message: 'transcript' } });
    await relay.look();
    expect(w.ids()).toHaveLength(3);
    expect(w.index.size).toBe(0);
  });

  it('goes when its record has expired or cannot be read', async () => {
    const w = new World();
    w.index.set('expired', 0);
    w.index.set('broken', 0);
    await w.relay().look();
    expect(w.index.size).toBe(0);
    expect(w.warned).toHaveLength(1);
  });
});

it('loses nothing and doubles no id, at whatever step a relay dies', async () => {
  const world = (): World => {
    const w = new World();
    w.start('c1');
    for (let n = 0; n < 5; n += 1) w.tell('c1', { type: 'takeover', data: { fromEpoch: n } });
    w.end('c1');
    return w;
  };
  for (let step = 0; step < 14; step += 1) {
    const w = world();
    w.dies = step;
    await w
      .relay()
      .look()
      .catch(() => undefined);
    w.dies = Number.POSITIVE_INFINITY;
    for (const id of w.index.keys()) w.index.set(id, 0); // its claim runs out
    await w.relay().look();
    expect({ step, ids: w.ids() }).toEqual({ step, ids: [1, 2, 3, 4, 5, 6, 7].map((n) => `evt_c1_${n}-0`) });
    expect(w.index.size).toBe(0);
  }
});

it('goes on by itself after an outage, says it once, and closes', async () => {
  const w = new World();
  w.start('c1');
  w.dies = 0;
  const relay = w.relay();
  relay.start();
  await w.clock.pass(10);
  w.dies = -3;
  await w.clock.pass(3_000);
  expect(w.warned).toEqual(['webhooks wait; looking again']);
  w.dies = Number.POSITIVE_INFINITY;
  await w.clock.pass(2_000);
  expect(w.ids()).toEqual(['evt_c1_1-0']);
  await relay.close();
  await relay.close();
  expect(w.clock.pending).toBe(0);
});
