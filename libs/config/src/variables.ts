import { z } from 'zod';
import {
  AbsolutePath,
  ApiKeys,
  Host,
  HttpUrl,
  Name,
  Port,
  RedisUrl,
  RoomHosts,
  hosts,
  integer,
  oneOf,
  optional,
  secret,
} from './formats.ts';
import { Networks, Webhooks } from './webhook-formats.ts';

export type Service = 'api' | 'worker' | 'simulator' | 'cli';
export const services = ['api', 'worker', 'simulator', 'cli'] as const satisfies readonly Service[];

/** One environment variable. `fallback` is the text that counts when it is unset or empty. */
type Variable<T> = {
  readonly group: string;
  readonly usedBy: readonly Service[];
  readonly about: string;
  readonly fallback: string;
  /** What `.env.example` shows for a variable that has no fallback. */
  readonly example?: string;
  readonly format: z.ZodType<T, string>;
};

const variable = <T>(row: Variable<T>): Variable<T> => row;
const everyone = services;
const product = ['api', 'worker', 'cli'] as const;
const text = z.string();

/** The only list of environment variables. `.env.example` and docs/configuration.md are made from it. */
export const variables = {
  REDIS_URL: variable({
    group: 'Redis',
    usedBy: product,
    about:
      'Where Redis is: redis://, rediss://, redis+sentinel://host,host/name or redis+cluster://host,host. Whoever reaches it is fully trusted.',
    fallback: 'redis://127.0.0.1:6379',
    format: RedisUrl,
  }),
  KEY_PREFIX: variable({
    group: 'Redis',
    usedBy: product,
    about: 'First part of every key and, in braces, the prefix of the BullMQ queues.',
    fallback: 'fleet',
    format: Name,
  }),
  FLEET_ID: variable({
    group: 'Fleet',
    usedBy: product,
    about:
      'Marks the Tavus conversations of this fleet; the reaper ends those and no others. Required unless TAVUS_BASE_URL is loopback (then `dev`). Never shared by two fleets.',
    fallback: '',
    example: 'production-eu',
    format: optional(Name),
  }),
  LOG_LEVEL: variable({
    group: 'Fleet',
    usedBy: everyone,
    about: 'trace, debug, info, warn, error, fatal or silent.',
    fallback: 'info',
    format: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable({
    group: 'Fleet',
    usedBy: ['api', 'worker'],
    about:
      'Where traces go (OTLP over HTTP). Empty: no traces. Headers for it (a key): OTEL_EXPORTER_OTLP_HEADERS, read by the exporter itself.',
    fallback: '',
    example: 'http://127.0.0.1:4318',
    format: optional(HttpUrl),
  }),
  API_KEYS: variable({
    group: 'API',
    usedBy: ['api', 'cli'],
    about:
      'Keys of the product backends as name:sha256hex, separated by commas. A conversation belongs to the name that made it. Required unless API_HOST is loopback; without keys nobody gets in.',
    fallback: '',
    example: 'backend:<sha256 of the key in hex>',
    format: ApiKeys,
  }),
  API_HOST: variable({
    group: 'API',
    usedBy: ['api'],
    about: 'Address to listen on.',
    fallback: '127.0.0.1',
    format: Host,
  }),
  API_PORT: variable({
    group: 'API',
    usedBy: ['api'],
    about: 'Port to listen on; 0 takes a free one.',
    fallback: '8080',
    format: Port,
  }),
  PUBLIC_URL: variable({
    group: 'API',
    usedBy: ['api', 'worker'],
    about:
      "The API's address as the outside reaches it: Tavus' callbacks and the OpenAPI page use it. Empty: no callbacks.",
    fallback: '',
    example: 'https://avatars.example.com',
    format: optional(HttpUrl),
  }),
  USER_ROOM_HOSTS: variable({
    group: 'API',
    usedBy: ['api', 'worker'],
    about:
      'Hosts whose rooms the avatar may be sent to, separated by commas: a host, *.pattern (https, default port) or an exact origin.',
    fallback: '*.daily.co',
    format: RoomHosts,
  }),
  WEBHOOKS: variable({
    group: 'API',
    usedBy: ['api'],
    about:
      "Where the product backends' webhooks go, as name=url|whsec_secret, separated by commas; the name is that of a key in API_KEYS. A second secret behind another | signs as well, so that secrets can be exchanged. Empty: none are sent. See docs/webhooks.md.",
    fallback: '',
    example: 'backend=https://backend.example.com/hooks/avatars|whsec_<base64 of 24 to 64 random bytes>',
    format: Webhooks,
  }),
  WEBHOOK_NETWORKS: variable({
    group: 'API',
    usedBy: ['api'],
    about:
      'Networks beyond the public internet that webhooks may be sent to, as CIDR, separated by commas (10.20.0.0/16). Looked at when a connection is made. Loopback (127.0.0.0/8, ::1/128) is for tests, and the only one where http:// is taken.',
    fallback: '',
    example: '10.20.0.0/16',
    format: Networks,
  }),
  TAVUS_API_KEY: variable({
    group: 'Tavus',
    usedBy: product,
    about: "The fleet's Tavus key. Required by api and worker unless TAVUS_BASE_URL is loopback.",
    fallback: '',
    example: 'replace-me',
    format: optional(secret(text)),
  }),
  TAVUS_BASE_URL: variable({
    group: 'Tavus',
    usedBy: product,
    about: "Tavus' API, or the simulator's address.",
    fallback: 'https://tavusapi.com',
    format: HttpUrl,
  }),
  TAVUS_NAMES: variable({
    group: 'Tavus',
    usedBy: product,
    about: 'Which of the two name families is sent: replica (replica_id, persona_id) or face (face_id, pal_id).',
    fallback: 'replica',
    format: oneOf(['replica', 'face']),
  }),
  TAVUS_MAX_CONCURRENT: variable({
    group: 'Tavus',
    usedBy: product,
    about:
      'Conversations that the Tavus plan allows at once, for the whole fleet (Starter 3, Growth 10 when this was written).',
    fallback: '10',
    format: integer(1, 100_000),
  }),
  PLAIN_HTTP_HOSTS: variable({
    group: 'Tavus',
    usedBy: product,
    about:
      'Hosts, beside loopback, that may be spoken to without TLS, separated by commas: a simulator in another container of a private network. Never for Tavus itself: its key would travel in the open.',
    fallback: '',
    example: 'simulator',
    format: hosts({ port: false }),
  }),
  DAILY_BUNDLE_URL: variable({
    group: 'Tavus',
    usedBy: ['worker'],
    about: "Folder (or file) that the page loads Daily's call machine from. Empty: Daily's own CDN.",
    fallback: '',
    example: 'http://127.0.0.1:8090/daily/call-machine-object-bundle.js',
    format: optional(HttpUrl),
  }),
  WORKER_MAX_SESSIONS: variable({
    group: 'Worker',
    usedBy: ['worker'],
    about: 'Live sessions that one worker takes.',
    fallback: '10',
    format: integer(1, 1000),
  }),
  WORKER_CPU_LIMIT_PERCENT: variable({
    group: 'Worker',
    usedBy: ['worker'],
    about:
      "A worker that, with its browsers, uses this much of the CPUs it may use (the container's quota counts) takes no further session until it is a good deal below.",
    fallback: '85',
    format: integer(10, 100),
  }),
  WORKER_MEMORY_LIMIT_PERCENT: variable({
    group: 'Worker',
    usedBy: ['worker'],
    about: 'The same for the memory of its container, or of the machine where none is limited.',
    fallback: '90',
    format: integer(10, 100),
  }),
  WORKER_SESSIONS_PER_BROWSER: variable({
    group: 'Worker',
    usedBy: ['worker'],
    about: 'Sessions that share one Chromium; a crash of its browser process takes them all.',
    fallback: '10',
    format: integer(1, 100),
  }),
  WORKER_SESSIONS_UNTIL_NEW_BROWSER: variable({
    group: 'Worker',
    usedBy: ['worker'],
    about: 'A Chromium that has served so many sessions takes no more; it is closed when its last one is over.',
    fallback: '200',
    format: integer(1, 1_000_000),
  }),
  WORKER_PAGE_MEMORY_MB: variable({
    group: 'Worker',
    usedBy: ['worker'],
    about:
      'A page whose process holds more memory of its own is killed; its session goes on in a new one. A session needs about a tenth of the fallback.',
    fallback: '1024',
    format: integer(64, 65_536),
  }),
  WORKER_DRAIN_SECONDS: variable({
    group: 'Worker',
    usedBy: ['worker'],
    about:
      'Grace after SIGTERM: sessions are handed over or finish; what is left then ends as `drained`. Keep it below the supervisor’s own grace.',
    fallback: '60',
    format: integer(0, 86_400),
  }),
  WORKER_HOST: variable({
    group: 'Worker',
    usedBy: ['worker'],
    about: "Address of the worker's own health and metrics server.",
    fallback: '127.0.0.1',
    format: Host,
  }),
  WORKER_PORT: variable({
    group: 'Worker',
    usedBy: ['worker'],
    about: 'Its port; 0 takes a free one.',
    fallback: '8081',
    format: Port,
  }),
  KUBERNETES_POD: variable({
    group: 'Worker',
    usedBy: ['worker'],
    about:
      "Name of the worker's own pod, to which it writes how many sessions it has (controller.kubernetes.io/pod-deletion-cost), so that scaling in takes the emptiest. Needs a service account that may patch pods. Empty: not done.",
    fallback: '',
    example: 'tavus-fleet-worker-5d9c7-x2x8k',
    format: optional(Host),
  }),
  CHROMIUM_PATH: variable({
    group: 'Worker',
    usedBy: ['worker', 'simulator', 'cli'],
    about: 'Chromium headless shell to start. Empty: the one that was installed with the project.',
    fallback: '',
    example: '/usr/bin/chromium',
    format: optional(AbsolutePath),
  }),
  CHROMIUM_SANDBOX: variable({
    group: 'Worker',
    usedBy: ['worker', 'simulator', 'cli'],
    about: "Chromium's sandbox: on, off, or auto (on where the kernel allows it and the user is not root).",
    fallback: 'auto',
    format: oneOf(['auto', 'on', 'off']),
  }),
  CHROMIUM_PROXY: variable({
    group: 'Worker',
    usedBy: ['worker', 'simulator', 'cli'],
    about: 'HTTP proxy for what Chromium fetches beyond loopback (media goes its own way). Empty: none.',
    fallback: '',
    example: 'http://proxy.internal:3128',
    format: optional(HttpUrl),
  }),
  SIMULATOR_HOST: variable({
    group: 'Simulator',
    usedBy: ['simulator'],
    about:
      'Address to listen on: loopback, because the simulator has no keys worth the name, or another one if SIMULATOR_ALLOWED_HOSTS names who may be asked for.',
    fallback: '127.0.0.1',
    format: Host,
  }),
  SIMULATOR_ALLOWED_HOSTS: variable({
    group: 'Simulator',
    usedBy: ['simulator'],
    about:
      'Host headers, beside loopback with its own port, that it answers to, separated by commas (simulator:8090). With any, the media of its rooms may leave the machine too: for a private network of containers, never a public one.',
    fallback: '',
    example: 'simulator:8090',
    format: hosts({ port: true }),
  }),
  SIMULATOR_PORT: variable({
    group: 'Simulator',
    usedBy: ['simulator'],
    about: 'Port to listen on; 0 takes a free one.',
    fallback: '8090',
    format: Port,
  }),
} as const;

export type VariableName = keyof typeof variables;
/** Every variable's parsed value. */
export type Values = { readonly [N in VariableName]: z.output<(typeof variables)[N]['format']> };

export const variableNames = Object.keys(variables) as readonly VariableName[]; // safe: keys of a const object literal
