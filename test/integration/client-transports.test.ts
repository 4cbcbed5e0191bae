// Both ways to a fleet against the real things: Redis and the api as a process. Only the worker is a stand-in, because it would need a browser.
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { HttpTransport } from '@tavus-fleet/client/http';
import { RedisTransport } from '@tavus-fleet/client/redis';
import { transportContract, type TransportWorld } from '@tavus-fleet/client/transport.contract';
import { CutProxy, redisFixture, startService, type ServiceProcess } from '@tavus-fleet/testkit';
import { afterAll, beforeAll, vi } from 'vitest';
import { StandInWorker } from './fixtures/stand-in-worker.ts';

// Jobs that are done are kept for a while and trimmed by BullMQ; what the fleet keeps of itself has no end.
const redis = redisFixture({ allow: /:(sessions|control):|:\{fleet\}:/ });
const key = 'client-key';
let api: ServiceProcess;
let worker: StandInWorker;

beforeAll(async () => {
  worker = new StandInWorker(redis.url, redis.keyPrefix);
  const env = {
    REDIS_URL: redis.url,
    KEY_PREFIX: redis.keyPrefix,
    FLEET_ID: redis.fleetId,
    API_KEYS: `test:${createHash('sha256').update(key).digest('hex')}`,
    API_PORT: '0',
    TAVUS_BASE_URL: 'http://127.0.0.1:9',
  };
  const main = fileURLToPath(new URL('../../services/api/src/main.ts', import.meta.url));
  api = await startService({ name: 'api', main, env }, AbortSignal.timeout(30_000));
});

afterAll(async () => {
  await api?.stop();
  await worker?.[Symbol.asyncDispose]();
});

async function world(
  to: string,
  media: boolean,
  open: (port: number) => TransportWorld['transport'],
): Promise<TransportWorld> {
  const proxy = await CutProxy.to(Number(new URL(to).port));
  await worker.playing(true);
  return {
    transport: open(proxy.port),
    cut: () => proxy.cut(),
    frames: (id) => worker.frames(id),
    playing: (on) => worker.playing(on),
    addAudio: media ? (id, count) => worker.addAudio(id, count) : undefined,
    tell: (id, event) => worker.tell(id, event),
    until: (condition) => vi.waitUntil(condition, { timeout: 8_000, interval: 10 }).then(() => undefined),
    end: () => proxy.close(),
  };
}

transportContract('through Redis', () =>
  world(
    redis.url,
    true,
    (port) => new RedisTransport({ redis: `redis://127.0.0.1:${port}`, keyPrefix: redis.keyPrefix, patienceMs: 5_000 }),
  ),
);

transportContract('by the api', () =>
  world(api.url, false, (port) => new HttpTransport({ url: `http://127.0.0.1:${port}`, key, patienceMs: 5_000 })),
);
