import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { startRedis, type RedisServer } from './redis-server.ts';
import { startService, type ServiceProcess } from './service-process.ts';

const main = (service: string): string =>
  fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url));

export type StackOptions = {
  readonly workers?: number;
  /** What every process inherits (PATH, HOME and the like) and what overrides our defaults, for example TAVUS_MAX_CONCURRENT. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Use this Redis instead of starting one. */
  readonly redisUrl?: string;
  readonly onLine?: (line: string) => void;
  /** Default `info`, which is also the least: readiness is read from a line of that level. */
  readonly logLevel?: 'info' | 'debug' | 'trace';
};

/** Redis, simulator, api and workers on loopback, each a process of its own; ports are chosen by the system. */
export class Stack implements AsyncDisposable {
  readonly apiKey: string;
  readonly redisUrl: string;
  readonly simulator: ServiceProcess;
  readonly api: ServiceProcess;
  readonly workers: ServiceProcess[] = [];
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #redis: RedisServer | undefined;
  readonly #onLine: ((line: string) => void) | undefined;

  private constructor(parts: {
    apiKey: string;
    redisUrl: string;
    redis: RedisServer | undefined;
    simulator: ServiceProcess;
    api: ServiceProcess;
    env: Readonly<Record<string, string | undefined>>;
    onLine: ((line: string) => void) | undefined;
  }) {
    this.apiKey = parts.apiKey;
    this.redisUrl = parts.redisUrl;
    this.simulator = parts.simulator;
    this.api = parts.api;
    this.#redis = parts.redis;
    this.#env = parts.env;
    this.#onLine = parts.onLine;
  }

  static async start(options: StackOptions, signal: AbortSignal): Promise<Stack> {
    await using held = new AsyncDisposableStack();
    const redis =
      options.redisUrl === undefined ? held.adopt(await startRedis({}, signal), (server) => server.stop()) : undefined;
    const redisUrl = options.redisUrl ?? redis?.url ?? '';
    const apiKey = `demo-${randomBytes(18).toString('base64url')}`;
    const line = options.onLine ? { onLine: options.onLine } : {};
    const { logLevel = 'info' } = options;
    const start = async (name: string, env: Record<string, string | undefined>): Promise<ServiceProcess> =>
      held.adopt(
        await startService({ name, main: main(name), env, ...line }, signal),
        async (service) => void (await service.stop()),
      );
    const simulator = await start('simulator', { ...options.env, LOG_LEVEL: logLevel, SIMULATOR_PORT: '0' });
    const env = {
      REDIS_URL: redisUrl,
      FLEET_ID: 'demo',
      API_KEYS: `demo:${createHash('sha256').update(apiKey).digest('hex')}`,
      API_PORT: '0',
      WORKER_PORT: '0',
      TAVUS_API_KEY: 'simulated',
      TAVUS_BASE_URL: simulator.url,
      DAILY_BUNDLE_URL: `${simulator.url}/daily`,
      USER_ROOM_HOSTS: `*.daily.co,${simulator.url}`,
      ...options.env,
      LOG_LEVEL: logLevel,
    };
    const api = await start('api', env);
    // Workers come after it, and so know where Tavus reaches it.
    const forWorkers = { PUBLIC_URL: api.url, ...env };
    const stack = new Stack({ apiKey, redisUrl, redis, simulator, api, env: forWorkers, onLine: options.onLine });
    for (let count = 0; count < (options.workers ?? 1); count += 1) {
      const worker = await stack.addWorker(signal);
      held.adopt(worker, async (service) => void (await service.stop()));
    }
    held.move();
    return stack;
  }

  /** One more worker replica. */
  async addWorker(signal: AbortSignal, env: Record<string, string> = {}): Promise<ServiceProcess> {
    const line = this.#onLine ? { onLine: this.#onLine } : {};
    const worker = await startService(
      { name: 'worker', main: main('worker'), env: { ...this.#env, ...env }, ...line },
      signal,
    );
    this.workers.push(worker);
    return worker;
  }

  get redis(): RedisServer | undefined {
    return this.#redis;
  }

  /** Stops everything, last started first. Answers how each ended. May be called twice. */
  async close(): Promise<Record<string, number | string>> {
    const ended: Record<string, number | string> = {};
    await Promise.all(this.workers.map(async (worker, index) => void (ended[`worker${index}`] = await worker.stop())));
    ended['api'] = await this.api.stop();
    ended['simulator'] = await this.simulator.stop();
    await this.#redis?.stop();
    return ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
