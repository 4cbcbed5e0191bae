import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ConfigError, loadConfig, Secret, type ApiConfig } from '@tavus-fleet/config';
import { systemClock } from '@tavus-fleet/lifecycle';
import { callbackKey, createTavusClient } from '@tavus-fleet/tavus';
import { createLogger, createMetrics, logLastWords, startTracing, tavusRequestMeter } from '@tavus-fleet/telemetry';
import { z } from 'zod';
import { buildApp } from './app.ts';
import { drainOnSignal } from './drain.ts';
import { tavusPersonas } from './personas.ts';
import { RedisBackend } from './redis/backend.ts';
import { startWebhooks } from './webhooks/webhooks.ts';

/** After the event streams have ended, what is still connected is cut. */
const CUT_MS = 3_000;

function configOrExit(): ApiConfig {
  try {
    return loadConfig('api', process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return process.exit(error.exitCode);
  }
}

const config = configOrExit();
const { version } = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')));
const log = createLogger({ name: 'api', level: config.logLevel });
logLastWords(process, log);
const tracing = await startTracing({
  endpoint: config.otlpEndpoint,
  service: 'api',
  version,
  instanceId: randomUUID(),
  log,
});
const metrics = createMetrics({
  only: [
    'fleet_queue_oldest_seconds',
    'fleet_tavus_requests_total',
    'fleet_tavus_callbacks_total',
    'fleet_webhooks_total',
    'fleet_webhooks_waiting',
    'fleet_conversations',
    'fleet_tavus_unended',
    'fleet_tavus_audit_age_seconds',
    'fleet_tavus_refuses',
  ],
});
const draining = new AbortController();
const redis = new RedisBackend({
  url: config.redis.url.reveal(),
  keyPrefix: config.redis.keyPrefix,
  log,
  metrics,
  telemetry: tracing.bullmq,
});
const tavus = createTavusClient({
  baseUrl: config.tavus.baseUrl,
  apiKey: config.tavus.apiKey.reveal(),
  names: config.tavus.names,
  onRequest: tavusRequestMeter(metrics),
});
const personas = tavusPersonas(tavus);

const { keys, userRoomHosts, publicUrl } = config;
const webhooks = startWebhooks({
  redis: { url: config.redis.url.reveal(), keyPrefix: config.redis.keyPrefix },
  endpoints: config.webhooks,
  networks: config.webhookNetworks,
  keys,
  version,
  log,
  metrics,
});
const app = await buildApp({
  ...redis.ports,
  personas,
  callbackKey: new Secret(callbackKey(config.tavus.apiKey.reveal(), config.fleetId)),
  keys,
  userRoomHosts,
  publicUrl,
  log,
  metrics,
  clock: systemClock,
  version,
  tracing: tracing.bullmq !== undefined,
  draining: draining.signal,
});
drainOnSignal({
  draining,
  log,
  close: async () => {
    // A client that has stopped reading keeps its connection busy for ever; requests in flight are done long before this.
    using _cut = systemClock.after(CUT_MS, () => app.server.closeAllConnections());
    await Promise.all([app.close(), webhooks.close()]);
    await tavus.close();
    await redis[Symbol.asyncDispose]();
    await tracing.close();
  },
});
if (keys.reveal().length === 0) log.warn('API_KEYS is empty: every request under /v1 is refused');
const url = await app.listen({ host: config.host, port: config.port });
log.info({ url }, 'api listening');
