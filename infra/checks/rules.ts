// The arrows of docs/architecture.md as data: services → libraries → contracts. Read by boundaries.ts.

/** Which of our libraries each library may import. A library that is not listed may import none. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  contracts: [],
  lifecycle: ['contracts'],
  audio: ['contracts', 'lifecycle'],
  client: ['contracts', 'lifecycle'],
  config: ['contracts'],
  telemetry: ['contracts', 'lifecycle'],
  redis: ['contracts', 'lifecycle'],
  tavus: ['contracts', 'lifecycle'],
  chromium: ['contracts', 'lifecycle'],
  rooms: ['audio', 'chromium', 'contracts', 'lifecycle'],
  'video-service': ['audio', 'contracts', 'lifecycle', 'rooms', 'tavus'],
};

/** Outside packages that a library must stay clear of, though a dependency of it has them. */
export const MUST_NOT_IMPORT: Readonly<Record<string, readonly string[]>> = {
  contracts: ['ioredis', 'bullmq', 'undici', 'pino', 'fastify'],
  // The service works on ports: whoever fills them with a browser or a database is not its business.
  'video-service': ['ioredis', 'bullmq', 'playwright-core', '@daily-co/daily-js', 'ws', 'undici'],
};

/** Only through the entry, because what lies beside it is an adapter: `@tavus-fleet/rooms/daily` drives a browser. */
export const ENTRY_ONLY: Readonly<Record<string, readonly string[]>> = { 'video-service': ['rooms', 'tavus'] };

/** An example stands for somebody else's backend: of ours it has what is published. */
export const EXAMPLES_MAY_IMPORT: readonly string[] = ['client'];

/** Workspaces whose product code may use the test kit: they are tests, or stand in for the outside world. */
export const MAY_USE_TESTKIT: readonly string[] = ['test', 'infra/demo', 'services/simulator', 'libs/testkit'];

/** Where the environment is read. A service's main.ts may hand it over as a whole, to the one reader. */
export const MAY_READ_ENV = /^(libs\/(config|testkit)\/|infra\/|test\/|examples\/|vitest\.config\.ts$)|\.test\.ts$/;
export const MAY_PASS_ENV = /^(services\/[^/]+|infra\/[^/]+)\/src\/main\.ts$/;

export const MAX_LINES = 400;
export const VAGUE_NAME = /^(utils?|helpers?|misc|common)\b/i;

/** A pause of this length or more in a test is a guess about time: wait for the signal instead. */
export const LONG_PAUSE_MS = 100;
export const PAUSES = new Set(['setTimeout', 'sleep', 'delay', 'pause', 'wait']);
export const PAUSE_EXCUSE = '// waits:';
