import type { ApiKey, Secret, WebhookEndpoint } from '@tavus-fleet/config';
import { systemClock } from '@tavus-fleet/lifecycle';
import { connectRedis, createKeys, EventLog, Queues, Records, WebhookOutbox } from '@tavus-fleet/redis';
import type { Logger, Metrics } from '@tavus-fleet/telemetry';
import { Deliveries } from './deliveries.ts';
import { WebhookRelay } from './relay.ts';
import { WebhookSender } from './sender.ts';

const PAGE = 100;

type Options = {
  readonly redis: { readonly url: string; readonly keyPrefix: string };
  readonly endpoints: Secret<readonly WebhookEndpoint[]>;
  readonly networks: readonly string[];
  readonly keys: Secret<readonly ApiKey[]>;
  readonly version: string;
  readonly log: Logger;
  readonly metrics: Metrics;
};

/**
 * Webhooks of this process: the relay that makes them of events and the consumers that send them, on connections of their own, so
 * that requests never wait behind them. Nothing at all where no endpoint is configured: then another replica may have some.
 */
export function startWebhooks(options: Options): { close(): Promise<void> } {
  const { redis, keys, log, metrics, version, networks } = options;
  const endpoints = options.endpoints.reveal();
  if (endpoints.length === 0) return { close: async () => undefined };

  const names = createKeys(redis.keyPrefix);
  const commands = connectRedis(redis.url, { role: 'commands', name: 'api-webhook-relay', log });
  const queues = new Queues(redis.url, redis.keyPrefix, { name: 'api-webhook-queues', log });
  const records = new Records(commands, names, log);
  const events = new EventLog(commands, names, log);
  const outbox = new WebhookOutbox(commands, names, log);
  const sender = new WebhookSender({ networks, version, clock: systemClock });
  const deliveries = new Deliveries({ ...redis, endpoints, sender, log, metrics });
  const owners = new Set(keys.reveal().map(({ name }) => name));
  const relay = new WebhookRelay({
    port: {
      due: (limit) => outbox.due(limit),
      conversation: (id) => records.get(id),
      relayedUpTo: (id) => outbox.relayedUpTo(id),
      events: (id, after) => events.read(id, after, PAGE),
      enqueue: (keyName, webhooks) => queues.deliver(keyName, webhooks),
      advance: (id, eventId) => outbox.advance(id, eventId),
      done: (due) => outbox.done(due),
    },
    endpoints: new Set(endpoints.map(({ name }) => name)),
    queueOwner: owners.size === 1 ? [...owners][0] : undefined,
    clock: systemClock,
    log,
  });
  metrics.onExpose(async () => metrics.webhooksWaiting(await queues.undelivered(endpoints.map(({ name }) => name))));
  relay.start();
  deliveries.start();
  return {
    async close() {
      await Promise.allSettled([relay.close(), deliveries.close()]);
      await Promise.allSettled([sender.close(), queues.close()]);
      commands.disconnect();
    },
  };
}
