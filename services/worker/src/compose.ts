import { randomBytes } from 'node:crypto';
import type { WorkerConfig } from '@tavus-fleet/config';
import { parseRedisUrl } from '@tavus-fleet/contracts';
import { systemClock } from '@tavus-fleet/lifecycle';
import {
  ClusterStreamReader,
  connectRedis,
  createKeys,
  EventLog,
  everyMaster,
  HandOvers,
  LeaseKeeper,
  Leases,
  Ledger,
  queueConnection,
  queueErrors,
  Queues,
  ProviderSlots,
  RecordCopies,
  Records,
  ReaperNotes,
  RedisHealth,
  StreamReader,
  WorkerRegistry,
  type RedisConnection,
  type RedisRole,
  type StreamSource,
} from '@tavus-fleet/redis';
import { createDailyRooms, type Rooms } from '@tavus-fleet/rooms';
import { createTavusClient } from '@tavus-fleet/tavus';
import { createMetrics, startTracing, tavusRequestMeter, type Logger, type Metrics } from '@tavus-fleet/telemetry';
import packageJson from '../package.json' with { type: 'json' };
import { ControlJobs } from './control.ts';
import { bandsFor } from './load/brake.ts';
import { CpuMeter } from './load/cpu.ts';
import { EventLoopMeter } from './load/event-loop.ts';
import { LoadWatch } from './load/load-watch.ts';
import { memoryShare } from './load/memory.ts';
import { OwnRows } from './own-rows.ts';
import { tellingFleet } from './provider-gate.ts';
import { BullStartJobs } from './start-jobs.ts';
import { FRESH_MS } from './session-factory.ts';
import type { WorkerParts } from './worker.ts';

/**
 * Everything a worker is made of, opened in this order and closed in the reverse one. `openRooms` makes its browsers; a whole fleet in
 * one process, as tests have it, brings rooms without any.
 */
export async function compose(
  config: WorkerConfig,
  log: Logger,
  openRooms: (config: WorkerConfig, log: Logger, metrics: Metrics) => Promise<Rooms>,
): Promise<{ parts: WorkerParts; close: () => Promise<void> }> {
  await using held = new AsyncDisposableStack();
  const workerId = `w-${randomBytes(6).toString('hex')}`;
  const clock = systemClock;
  const tracing = await startTracing({
    endpoint: config.otlpEndpoint,
    service: 'worker',
    version: packageJson.version,
    instanceId: workerId,
    log,
  });
  held.defer(() => tracing.close());
  const url = config.redis.url.reveal();
  const keys = createKeys(config.redis.keyPrefix);
  const connect = (role: RedisRole, name: string): RedisConnection =>
    connectRedis(url, { role, name: `${workerId}:${name}`, log });
  const connected = (role: RedisRole, name: string): RedisConnection =>
    held.adopt(connect(role, name), (connection) => connection.disconnect());

  const commands = connected('commands', 'commands');
  const { kind } = parseRedisUrl(url);
  const leases = new Leases({
    commands,
    lease: connected('lease', 'lease'),
    keys,
    waitForReplica: kind !== 'single',
  });
  const reader: StreamSource & { close(): Promise<void> } =
    kind === 'cluster'
      ? new ClusterStreamReader(() => connect('blocking', 'frames'), { clock, log })
      : new StreamReader({
          blocking: connect('blocking', 'frames'),
          bell: { key: keys.bell(workerId), commands },
          clock,
          log,
        });
  held.defer(() => reader.close());
  const copies = new RecordCopies({ redis: commands, keys, leases, clock, log });
  const keeper = new LeaseKeeper(copies, { clock, log });
  held.defer(() => keeper.close());
  const queues = new Queues(url, config.redis.keyPrefix, {
    name: `${workerId}:queues`,
    log,
    telemetry: tracing.bullmq,
  });
  held.defer(() => queues.close());
  const bull = (name: string): RedisConnection =>
    queueConnection(url, { role: 'worker', name: `${workerId}:${name}`, log });
  const replaced =
    (queue: string): (() => void) =>
    () =>
      log.warn({ queue }, 'a queue worker fetched nothing while Redis answered others; it has new connections');

  const metrics = createMetrics();
  const records = new Records(commands, keys, log, { waitForReplica: kind !== 'single' });
  const ledger = new Ledger(commands, keys, log);
  const ownRows = new OwnRows(
    {
      keep: (rows) => ledger.keep(rows),
      holds: (id) => keeper.holds(id),
      isFresh: (id) => keeper.isFresh(id, FRESH_MS),
    },
    clock,
    log,
  );
  held.defer(() => ownRows.close());
  const slots = new ProviderSlots(commands, keys, config.tavus.maxConcurrent);
  const eventLoop = held.use(new EventLoopMeter());
  eventLoop.start();
  const cpu = new CpuMeter(clock);
  const load = new LoadWatch({
    meters: { cpu: () => cpu.read(), memory: () => memoryShare(), eventLoopMs: () => eventLoop.read() },
    bands: bandsFor(config.limits),
    clock,
    log,
  });
  held.defer(() => load.close());
  const tavus = createTavusClient({
    baseUrl: config.tavus.baseUrl,
    apiKey: config.tavus.apiKey.reveal(),
    names: config.tavus.names,
    clock,
    onRequest: tavusRequestMeter(metrics),
  });
  held.defer(() => tavus.close());
  const rooms = await openRooms(config, log, metrics);
  held.defer(() => rooms.close());

  const parts: WorkerParts = {
    config,
    workerId,
    version: packageJson.version,
    clock,
    log,
    metrics,
    redis: commands,
    outputs: connected('commands', 'outputs'),
    keys,
    reader,
    records,
    events: new EventLog(commands, keys, log),
    ledger,
    ownRows,
    notes: new ReaperNotes(commands, keys),
    leases,
    keeper,
    registry: new WorkerRegistry(commands, keys, { log }),
    handOvers: new HandOvers(commands, keys),
    health: new RedisHealth(everyMaster(connected('commands', 'health')), { clock }),
    queues,
    startJobs: new BullStartJobs({
      connect: () => bull('sessions'),
      keyPrefix: config.redis.keyPrefix,
      delayed: () => queues.count('sessions', 'delayed'),
      onReplaced: replaced('sessions'),
      onError: queueErrors(log, 'sessions'),
    }),
    controlJobs: new ControlJobs({
      connect: () => bull('control'),
      keyPrefix: config.redis.keyPrefix,
      records,
      waiting: () => queues.count('control', 'wait'),
      onReplaced: replaced('control'),
      onError: queueErrors(log, 'control'),
      telemetry: tracing.bullmq,
    }),
    tavus: tellingFleet(tavus, slots, log),
    slots,
    load,
    rooms,
  };
  const owned = held.move();
  return { parts, close: () => owned.disposeAsync() };
}

/** Rooms in headless Chromium. `env` is what it may inherit of. */
export function chromiumRooms(
  env: Readonly<Record<string, string | undefined>>,
): (config: WorkerConfig, log: Logger, metrics: Metrics) => Promise<Rooms> {
  return (config, log, metrics) =>
    createDailyRooms({
      chromium: {
        env,
        sandbox: config.chromium.sandbox,
        executablePath: config.chromium.path,
        extraArgs: config.chromium.proxy === undefined ? [] : [`--proxy-server=${config.chromium.proxy}`],
      },
      bundleUrl: config.dailyBundleUrl ?? '',
      sessionsPerBrowser: config.sessionsPerBrowser,
      sessionsUntilRetired: config.sessionsUntilNewBrowser,
      maxPageBytes: config.maxPageBytes,
      onIncident: (incident) => {
        metrics.browserIncident(incident.what);
        log.warn(incident, 'browser trouble');
      },
      prewarm: true,
      log: (line) => log.debug({ line }, 'browser'),
      clock: systemClock,
    });
}
