import { ConfigError, loadConfig, type WorkerConfig } from '@tavus-fleet/config';
import { onShutdownSignal } from '@tavus-fleet/lifecycle';
import { fleetFigures } from '@tavus-fleet/redis';
import { createLogger, logLastWords, showFleet, slotStates } from '@tavus-fleet/telemetry';
import { chromiumRooms, compose } from './compose.ts';
import { buildDebugServer } from './debug-server.ts';
import { PodDeletionCost } from './pod-deletion-cost.ts';
import { FleetWorker } from './worker.ts';

/** After the drain's deadline sessions are ended at once; this is what that may take before we leave without them. */
const LAST_MS = 20_000;

function configOrExit(): WorkerConfig {
  try {
    return loadConfig('worker', process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return process.exit(error.exitCode);
  }
}

const config = configOrExit();
const log = createLogger({ name: 'worker', level: config.logLevel });
logLastWords(process, log);
const { parts, close } = await compose(config, log, chromiumRooms(process.env));

const debug = buildDebugServer({
  live: () => true,
  whyNotReady: () => (parts.health.up ? worker.whyWaiting : 'redis-down'),
  expose: () => parts.metrics.expose(),
  sessions: () => ({ workerId: parts.workerId, slots: worker.sessions.slots(), sessions: worker.sessions.list() }),
});
const url = await debug.listen({ host: config.host, port: config.port });
const worker = new FleetWorker(parts, url, () => void stop('drain asked'));
const { clock } = parts;
const cost =
  config.pod === undefined
    ? undefined
    : new PodDeletionCost({ pod: config.pod, sessions: () => worker.sessions.size, clock, log });
parts.metrics.onExpose(async () => {
  const slots = worker.sessions.slots();
  for (const state of slotStates) parts.metrics.slots(state, slots[state]);
  parts.metrics.browserMemory(await parts.rooms.memoryBytes());
});
parts.metrics.onExpose(async () => showFleet(parts.metrics, await fleetFigures(parts.redis, parts.keys)));

let stopping = false;
/** Ladder: drain → deadline ends sessions with a reason → second deadline, or a second signal, exits non-zero. A drain that was asked for is no signal. */
async function stop(why: string): Promise<void> {
  if (stopping) return;
  stopping = true;
  log.info({ why, live: worker.sessions.size }, 'worker stopping');
  setTimeout(() => {
    log.error({ live: worker.sessions.size }, 'worker did not stop in time');
    process.exit(1);
  }, config.drainMs + LAST_MS).unref();
  await worker.stop(config.drainMs);
  await cost?.close();
  await debug.close();
  await close();
  log.info({}, 'worker stopped');
  process.exit(0);
}
onShutdownSignal(process, { stop: (signal) => void stop(signal), atOnce: () => process.exit(1) });

await worker.start();
cost?.start();
log.info({ url, workerId: parts.workerId, capacity: config.maxSessions }, 'worker listening');
