import { randomUUID } from 'node:crypto';
import { FleetError, MAX_FRAMES, parseRedisUrl, type InboundFrame } from '@tavus-fleet/contracts';
import { withDeadline } from '@tavus-fleet/lifecycle';
import {
  ClusterStreamReader,
  EventLog,
  everyMaster,
  Idempotency,
  Queued,
  Queues,
  Records,
  RedisHealth,
  StreamReader,
  TavusNotices,
  WorkerRegistry,
  acceptedOf,
  addFrame,
  addNumberedFrame,
  connectRedis,
  createKeys,
  fleetFigures,
  redisCall,
  type Keys,
  type RedisConnection,
  type StreamSource,
} from '@tavus-fleet/redis';
import { currentTraceparent, showFleet, traced, type Logger, type Metrics, type Tracing } from '@tavus-fleet/telemetry';
import type { AppDeps } from '../app.ts';

/** A caller waits for Redis this long per step, so that a POST answers 503 in about 2 s. Beside the driver's own deadline, for every kind of silence. */
const STEP_MS = 1800;
/** Room that approximate trimming and frames in flight may take before the oldest unplayed frame would be lost. */
const FRAMES_HEADROOM = 1000;

type Options = {
  readonly url: string;
  readonly keyPrefix: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** BullMQ's hook: jobs carry the trace of their request. */
  readonly telemetry?: Tracing['bullmq'];
};
type Ports = Pick<
  AppDeps,
  'conversations' | 'jobs' | 'idempotency' | 'frames' | 'events' | 'notices' | 'workers' | 'health'
>;

/**
 * Everything of Redis behind the API's ports: one connection for commands, one of BullMQ's, one blocking for all event
 * streams. It needs no Redis to start: each recovers by itself, and until then calls reject with `redis-unavailable`.
 */
export class RedisBackend implements AsyncDisposable {
  readonly ports: Ports;
  readonly #commands: RedisConnection;
  readonly #queues: Queues;
  readonly #news: StreamSource;
  readonly #health: RedisHealth;

  constructor(options: Options) {
    const { url, keyPrefix, log, metrics, telemetry } = options;
    const keys = createKeys(keyPrefix);
    this.#commands = connectRedis(url, { role: 'commands', name: 'api', log });
    this.#queues = new Queues(url, keyPrefix, { name: 'api-queues', log, telemetry });
    this.#health = new RedisHealth(everyMaster(this.#commands));
    this.#news = openNews(url, keys, this.#commands, log);
    this.ports = portsOn({
      keys,
      waitForReplica: parseRedisUrl(url).kind !== 'single',
      commands: this.#commands,
      queues: this.#queues,
      news: this.#news,
      health: this.#health,
      log,
    });
    metrics.onExpose(() =>
      bounded('Reading the fleet', async () => showFleet(metrics, await fleetFigures(this.#commands, keys))),
    );
    this.#health.start();
  }

  /** May be called twice. Readers first: they use the command connection to be woken. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#health.close();
    await Promise.allSettled([this.#news.close(), this.#queues.close()]);
    this.#commands.disconnect();
  }
}

function portsOn(parts: {
  keys: Keys;
  waitForReplica: boolean;
  commands: RedisConnection;
  queues: Queues;
  news: StreamSource;
  health: RedisHealth;
  log: Logger;
}): Ports {
  const { keys, waitForReplica, commands, queues, news, health, log } = parts;
  const records = new Records(commands, keys, log, { waitForReplica });
  const queued = new Queued(commands, keys);
  const idempotency = new Idempotency(commands, keys);
  const events = new EventLog(commands, keys, log);
  const notices = new TavusNotices(commands, keys, log);
  const registry = new WorkerRegistry(commands, keys, { log });
  return {
    conversations: {
      create: (input) =>
        traced('write record', {}, () =>
          bounded('Writing the record', () => records.create({ ...input, traceparent: currentTraceparent() })),
        ),
      get: (id) => bounded('Reading the record', () => records.get(id)),
      place: (id) => bounded('Reading the place', () => queued.place(id)),
      list: (query) => bounded('Listing', () => records.list(query)),
      desire: (id, verb, reason) => bounded('Asking for the end', () => records.desire(id, verb, reason)),
      failUnowned: (id, endReason) => bounded('Withdrawing', () => records.failUnowned(id, endReason)),
      updateSettings: (id, delta) => bounded('Changing settings', () => records.updateSettings(id, delta)),
    },
    jobs: {
      start: (conversationId) =>
        bounded('Adding the job', async () => void (await queues.enqueue('start', { v: 1, conversationId }))),
    },
    idempotency: {
      claim: (claim) => bounded('Claiming the key', () => idempotency.claim(claim)),
      release: ({ createdBy, idempotencyKey }) =>
        bounded(
          'Releasing the key',
          async () => void (await redisCall(() => commands.del(keys.fleet.idempotency(createdBy, idempotencyKey)))),
        ),
    },
    frames: {
      append: (id, frame) =>
        bounded('Appending the frame', async () => {
          if (canWait(frame)) await refuseWhenFull(commands, keys, id);
          return addFrame(commands, keys, id, frame);
        }),
      appendNumbered: (id, frame, message) =>
        bounded('Appending the frame', async () => {
          if (canWait(frame)) await refuseWhenFull(commands, keys, id);
          return addNumberedFrame(commands, keys, id, frame, message);
        }),
      accepted: (id, producer) => bounded('Reading the count', () => acceptedOf(commands, keys, id, producer)),
    },
    events: {
      read: (id, after, count) => bounded('Reading events', () => events.read(id, after, count)),
      watch: (id, after, onNews) => news.subscribe(keys.conversation(id).events, after, onNews),
    },
    notices: { take: (id, notice) => bounded('Taking the callback', () => notices.take(id, notice)) },
    workers: {
      list: () => bounded('Listing workers', () => registry.list()),
      drain: (id) => bounded('Asking to drain', async () => (await registry.requestDrain(id)) === 'requested'),
    },
    health: {
      check: async () => {
        if (!health.up) throw new FleetError('redis-unavailable', 'Redis does not answer.');
      },
    },
  };
}

function bounded<T>(what: string, work: () => Promise<T>): Promise<T> {
  return withDeadline({ ms: STEP_MS, what, code: 'redis-unavailable' }, work);
}

function openNews(url: string, keys: Keys, commands: RedisConnection, log: Logger): StreamSource {
  const blocking = (): RedisConnection => connectRedis(url, { role: 'blocking', name: 'api-events', log });
  if (parseRedisUrl(url).kind === 'cluster') return new ClusterStreamReader(blocking, { log });
  return new StreamReader({ blocking: blocking(), bell: { key: keys.bell(`api-${randomUUID()}`), commands }, log });
}

/** Only what can be sent again later may be refused: an interruption or an end must always get through. */
const canWait = ({ type }: InboundFrame): boolean => type === 'tts-audio' || type === 'message';

async function refuseWhenFull(commands: RedisConnection, keys: Keys, id: string): Promise<void> {
  const waiting = await redisCall(() => commands.xlen(keys.conversation(id).frames));
  if (waiting >= MAX_FRAMES - FRAMES_HEADROOM)
    throw new FleetError('stream-full', `${waiting} frames wait to be played; send more when some have been.`);
}
