import { isLoopbackUrl } from './loopback.ts';
import type { ApiKey } from './formats.ts';
import { Secret } from './secret.ts';
import type { Values } from './variables.ts';
import type { WebhookEndpoint } from './webhook-formats.ts';

export type LogLevel = Values['LOG_LEVEL'];
export type RedisSettings = { readonly url: Secret; readonly keyPrefix: string };
export type TavusSettings = {
  readonly apiKey: Secret;
  /** Without a slash at its end. */
  readonly baseUrl: string;
  /** Which name family is sent. */
  readonly names: 'replica' | 'face';
  /** For the whole fleet. */
  readonly maxConcurrent: number;
};

type Common = { readonly logLevel: LogLevel };
type Product = Common & { readonly fleetId: string; readonly redis: RedisSettings };

export type ApiConfig = Product & {
  readonly host: string;
  readonly port: number;
  readonly keys: Secret<readonly ApiKey[]>;
  readonly publicUrl: string | undefined;
  readonly userRoomHosts: readonly string[];
  readonly webhooks: Secret<readonly WebhookEndpoint[]>;
  /** CIDR; beyond the public internet. */
  readonly webhookNetworks: readonly string[];
  readonly tavus: TavusSettings;
  readonly otlpEndpoint: string | undefined;
};

export type WorkerConfig = Product & {
  readonly host: string;
  readonly port: number;
  readonly maxSessions: number;
  /** Shares, 0–1, from which on no further session is taken. */
  readonly limits: { readonly cpu: number; readonly memory: number };
  readonly sessionsPerBrowser: number;
  readonly sessionsUntilNewBrowser: number;
  readonly maxPageBytes: number;
  readonly drainMs: number;
  /** Name of its own pod; undefined: Kubernetes is not told what it would cost to delete it. */
  readonly pod: string | undefined;
  readonly chromium: ChromiumSettings;
  /** undefined: Daily's own. */
  readonly dailyBundleUrl: string | undefined;
  readonly publicUrl: string | undefined;
  readonly userRoomHosts: readonly string[];
  readonly tavus: TavusSettings;
  readonly otlpEndpoint: string | undefined;
};

export type ChromiumSettings = {
  readonly path: string | undefined;
  readonly sandbox: 'auto' | 'on' | 'off';
  /** For what it fetches beyond loopback. */ readonly proxy: string | undefined;
};
export type SimulatorConfig = Common & {
  readonly host: string;
  readonly port: number;
  /** Host headers it answers to beside its own loopback ones; with any, media may leave the machine. */
  readonly allowedHosts: readonly string[];
  readonly chromium: ChromiumSettings;
};

/** The operator's tool works with Redis alone; what needs more says so. */
export type CliConfig = Omit<Product, 'fleetId'> & {
  readonly fleetId: string | undefined;
  readonly keys: Secret<readonly ApiKey[]>;
  readonly chromium: ChromiumSettings;
  readonly tavus: Omit<TavusSettings, 'apiKey'> & { readonly apiKey: Secret | undefined };
};

/** Settings by service. */
export type Settings = {
  readonly api: ApiConfig;
  readonly worker: WorkerConfig;
  readonly simulator: SimulatorConfig;
  readonly cli: CliConfig;
};

const common = (values: Values): Common => ({ logLevel: values.LOG_LEVEL });

const product = (values: Values): Product => ({
  ...common(values),
  // The rules let it be absent only where Tavus is the simulator: nothing there is billed or shared.
  fleetId: values.FLEET_ID ?? 'dev',
  redis: { url: values.REDIS_URL, keyPrefix: values.KEY_PREFIX },
});

// The simulator takes any key; api and worker must not have to branch on its absence.
const keyForSimulator = 'simulator';

const cliTavus = (values: Values): CliConfig['tavus'] => ({
  apiKey: values.TAVUS_API_KEY ?? (isLoopbackUrl(values.TAVUS_BASE_URL) ? new Secret(keyForSimulator) : undefined),
  baseUrl: values.TAVUS_BASE_URL,
  names: values.TAVUS_NAMES,
  maxConcurrent: values.TAVUS_MAX_CONCURRENT,
});

const tavus = (values: Values): TavusSettings => ({
  ...cliTavus(values),
  apiKey: values.TAVUS_API_KEY ?? new Secret(keyForSimulator),
});

/** How each service's settings are made of the values. */
export const shapes: { readonly [S in keyof Settings]: (values: Values) => Settings[S] } = {
  api: (values) => ({
    ...product(values),
    host: values.API_HOST,
    port: values.API_PORT,
    keys: values.API_KEYS,
    publicUrl: values.PUBLIC_URL,
    userRoomHosts: values.USER_ROOM_HOSTS,
    webhooks: values.WEBHOOKS,
    webhookNetworks: values.WEBHOOK_NETWORKS,
    tavus: tavus(values),
    otlpEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT,
  }),
  worker: (values) => ({
    ...product(values),
    host: values.WORKER_HOST,
    port: values.WORKER_PORT,
    maxSessions: values.WORKER_MAX_SESSIONS,
    limits: { cpu: values.WORKER_CPU_LIMIT_PERCENT / 100, memory: values.WORKER_MEMORY_LIMIT_PERCENT / 100 },
    sessionsPerBrowser: values.WORKER_SESSIONS_PER_BROWSER,
    sessionsUntilNewBrowser: values.WORKER_SESSIONS_UNTIL_NEW_BROWSER,
    maxPageBytes: values.WORKER_PAGE_MEMORY_MB * 2 ** 20,
    drainMs: values.WORKER_DRAIN_SECONDS * 1000,
    pod: values.KUBERNETES_POD,
    chromium: { path: values.CHROMIUM_PATH, sandbox: values.CHROMIUM_SANDBOX, proxy: values.CHROMIUM_PROXY },
    dailyBundleUrl: values.DAILY_BUNDLE_URL?.replace(/\/call-machine-object-bundle\.js$/, ''),
    publicUrl: values.PUBLIC_URL,
    userRoomHosts: values.USER_ROOM_HOSTS,
    tavus: tavus(values),
    otlpEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT,
  }),
  simulator: (values) => ({
    ...common(values),
    host: values.SIMULATOR_HOST,
    port: values.SIMULATOR_PORT,
    allowedHosts: values.SIMULATOR_ALLOWED_HOSTS,
    chromium: { path: values.CHROMIUM_PATH, sandbox: values.CHROMIUM_SANDBOX, proxy: values.CHROMIUM_PROXY },
  }),
  cli: (values) => ({
    ...product(values),
    fleetId: values.FLEET_ID ?? (isLoopbackUrl(values.TAVUS_BASE_URL) ? 'dev' : undefined),
    keys: values.API_KEYS,
    chromium: { path: values.CHROMIUM_PATH, sandbox: values.CHROMIUM_SANDBOX, proxy: values.CHROMIUM_PROXY },
    tavus: cliTavus(values),
  }),
};
