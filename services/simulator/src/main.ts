import { ConfigError, isLoopbackHost, loadConfig } from '@tavus-fleet/config';
import { onShutdownSignal, withDeadline } from '@tavus-fleet/lifecycle';
import { createLogger } from '@tavus-fleet/telemetry';
import { buildApp } from './app.ts';
import { createDailyRooms } from './daily/server.ts';
import { createReplicas } from './replica/replicas.ts';
import { createSimulator } from './sim/simulator.ts';
import { portOf } from './sim/port-of.ts';
import { registerRoomPages } from './watch/room-pages.ts';

/** From the first signal to the exit, whatever still hangs. */
const STOP_DEADLINE_MS = 4_500;

function configOrExit() {
  try {
    return loadConfig('simulator', process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return process.exit(error.exitCode);
  }
}

const config = configOrExit();
const log = createLogger({ name: 'simulator', level: config.logLevel });

let origin = ''; // known once listening: the port may be 0
const rooms = createDailyRooms({
  allowedHosts: config.allowedHosts,
  onError: (error) => log.warn({ err: error }, 'room error'),
});
const replicas = createReplicas({
  rooms,
  origin: () => origin,
  executablePath: config.chromium.path,
  sandbox: config.chromium.sandbox,
  proxy: config.chromium.proxy,
  log: (line) => log.debug({ line }, 'browser'),
});
const simulator = createSimulator({ rooms, replicas, log });
// Fastify says at info what we say ourselves, and less plainly.
const httpLog = log.child({}, { level: log.isLevelEnabled('warn') ? 'warn' : config.logLevel });
const app = buildApp({
  ...simulator,
  logger: httpLog,
  allowedHosts: config.allowedHosts,
  pages: (scope) => registerRoomPages(scope, { rooms }),
});
app.server.on('upgrade', (request, socket, head) => {
  if (!rooms.handleUpgrade(request, socket, head)) socket.destroy();
});

/** Conversations (and their replicas) first, then the browser, then rooms and sockets: each needs what comes after it. */
async function close(): Promise<void> {
  await simulator.close();
  await replicas.close();
  await rooms.shutDown();
  await app.close();
}

function stop(signal: string): void {
  log.info({ signal }, 'simulator stopping');
  withDeadline({ ms: STOP_DEADLINE_MS, what: 'stopping the simulator' }, close).then(
    () => process.exit(0),
    (error: unknown) => {
      log.error({ err: error }, 'simulator did not stop cleanly');
      process.exit(1);
    },
  );
}
onShutdownSignal(process, { stop, atOnce: () => process.exit(1) });

await app.listen({ host: config.host, port: config.port });
// Our own pages come over loopback, whatever else we listen on: only that is a secure context without TLS.
const own = isLoopbackHost(config.host) ? config.host : '127.0.0.1';
origin = `http://${own.includes(':') ? `[${own}]` : own}:${portOf(app.server)}`;
log.info({ url: origin }, 'simulator listening');
