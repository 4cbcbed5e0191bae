import { connect } from 'node:net';
import { untilRedisAnswers } from './redis-answers.ts';
import type { RedisServer } from './redis-server.ts';

const DEFAULT_IMAGE = 'redis:7-bookworm';
const SOCKET = '/var/run/docker.sock';

/** Undefined where no Docker engine answers or the image is not on this machine: then a process must do. */
export async function startRedisContainer(
  settings: { port: number; appendOnly: boolean },
  signal: AbortSignal,
): Promise<RedisServer | undefined> {
  if (!process.env['DOCKER_HOST'] && !(await engineListens())) return undefined;
  // Testcontainers would first pull its reaper image, which offline machines cannot.
  process.env['TESTCONTAINERS_RYUK_DISABLED'] ??= 'true';
  // Loaded only here: it takes half a second, and most machines run the process.
  const { GenericContainer, Wait, getContainerRuntimeClient } = await import('testcontainers');
  const image = process.env['REDIS_IMAGE'] ?? DEFAULT_IMAGE;
  const { container: engine } = await getContainerRuntimeClient();
  const images = await engine.dockerode.listImages({ filters: { reference: [image] } });
  if (images.length === 0) return undefined;
  signal.throwIfAborted();

  const durable = settings.appendOnly ? ['yes', '--appendfsync', 'always'] : ['no'];
  const started = await new GenericContainer(image)
    // A fixed port: a random one would change with every restart.
    .withExposedPorts({ container: 6379, host: settings.port })
    .withCommand(['redis-server', '--save', '', '--appendonly', ...durable])
    // The default waits with a shell inside the container, which a small image lacks.
    .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
    .start();
  const raw = engine.getById(started.getId());
  let stopped: Promise<unknown> | undefined;
  return {
    kind: 'container',
    url: `redis://127.0.0.1:${settings.port}`,
    port: settings.port,
    stop: async () => void (await (stopped ??= started.stop({ timeout: 0 }))),
    pause: () => raw.pause(),
    resume: () => raw.unpause(),
    kill: () => raw.kill(),
    restart: async () => {
      if ((await raw.inspect()).State.Running) await raw.kill();
      await raw.start();
      await untilRedisAnswers(settings.port);
    },
  };
}

function engineListens(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(SOCKET, () => {
      socket.destroy();
      resolve(true);
    });
    socket.setTimeout(1000, () => socket.destroy());
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
