import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ConfigError } from './config-error.ts';
import { loadConfig, type Environment } from './load-config.ts';
import { renderConfigurationPage, renderEnvExample } from './render.ts';
import { services, type Service } from './variables.ts';

const hash = 'a'.repeat(64);
const simulator = { TAVUS_BASE_URL: 'http://127.0.0.1:8090' };
const production = { FLEET_ID: 'prod', TAVUS_API_KEY: 'tavus-key-value', API_KEYS: `backend:${hash}` };

const signing = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const hooked = { ...simulator, API_KEYS: `backend:${hash}` };

function problemsOf(service: Service, env: Environment): string[] {
  try {
    loadConfig(service, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ variable, problem }) => `${variable} ${problem}`);
    throw error;
  }
  return [];
}

describe('defaults', () => {
  it('needs nothing but the simulator’s address in development', () => {
    const config = loadConfig('worker', simulator);
    expect(config).toMatchObject({
      fleetId: 'dev',
      host: '127.0.0.1',
      port: 8081,
      maxSessions: 10,
      drainMs: 60_000,
      userRoomHosts: ['*.daily.co'],
      chromium: { path: undefined, sandbox: 'auto' },
    });
    expect(config.redis.url.reveal()).toBe('redis://127.0.0.1:6379');
    expect(config.tavus.apiKey.reveal()).toBe('simulator');
  });

  it('counts an empty variable as unset and trims', () => {
    expect(loadConfig('api', { ...simulator, API_PORT: '  ', API_HOST: ' 127.0.0.2 ', FLEET_ID: '' })).toMatchObject({
      port: 8080,
      host: '127.0.0.2',
      fleetId: 'dev',
    });
  });

  it('takes port 0', () => {
    expect(loadConfig('simulator', { SIMULATOR_PORT: '0' }).port).toBe(0);
  });

  it('cuts the slash at the end of a base URL', () => {
    expect(loadConfig('cli', { ...production, TAVUS_BASE_URL: 'https://tavus.example/' }).tavus.baseUrl).toBe(
      'https://tavus.example',
    );
  });

  it('is frozen to its depth', () => {
    const config = loadConfig('worker', simulator);
    for (const part of [config, config.redis, config.tavus, config.chromium, config.userRoomHosts])
      expect(Object.isFrozen(part)).toBe(true);
  });

  it('does not look at variables of other services', () => {
    expect(problemsOf('api', { ...simulator, WORKER_PORT: 'nonsense' })).toEqual([]);
  });
});

describe('wrong values', () => {
  it('lists everything wrong at once and exits 78', () => {
    expect(
      problemsOf('api', { API_PORT: '70000', REDIS_URL: 'http://nowhere', API_KEYS: 'me', LOG_LEVEL: 'loud' }),
    ).toEqual([
      'REDIS_URL must be redis://host:port, rediss://host:port, redis+sentinel://host,host/name or redis+cluster://host,host',
      'LOG_LEVEL must be one of trace, debug, info, warn, error, fatal, silent',
      'API_KEYS entry 1 must be name:sha256hex (printf %s "$KEY" | sha256sum)',
      'API_PORT must be a whole number from 0 to 65535',
      'FLEET_ID is required unless TAVUS_BASE_URL is loopback',
      'TAVUS_API_KEY is required unless TAVUS_BASE_URL is loopback',
    ]);
    expect(new ConfigError([]).exitCode).toBe(78);
  });

  it.each([
    ['api', { ...simulator, API_HOST: '0.0.0.0' }, 'API_KEYS is required unless API_HOST is loopback'],
    [
      'api',
      { ...production, USER_ROOM_HOSTS: 'http://127.0.0.1:8090' },
      'USER_ROOM_HOSTS may hold http:// origins only while TAVUS_BASE_URL is loopback, or of PLAIN_HTTP_HOSTS',
    ],
    [
      'api',
      { ...production, TAVUS_BASE_URL: 'http://tavus.example' },
      'TAVUS_BASE_URL must be https unless its host is loopback or in PLAIN_HTTP_HOSTS',
    ],
    ['api', { ...simulator, API_KEYS: `a:${hash},b:${hash}` }, 'API_KEYS must not name the same hash twice'],
    [
      'api',
      { ...simulator, USER_ROOM_HOSTS: 'rooms.example.com,*' },
      'USER_ROOM_HOSTS entry 2 must be a host (rooms.example.com), a pattern (*.daily.co) or an exact origin (http://127.0.0.1:8090)',
    ],
    ['worker', { ...simulator, FLEET_ID: 'a:b]' }, 'FLEET_ID must be 1 to 32 characters of A-Z a-z 0-9 _ -'],
    ['worker', { ...simulator, CHROMIUM_SANDBOX: 'maybe' }, 'CHROMIUM_SANDBOX must be one of auto, on, off'],
    ['worker', { ...simulator, WORKER_MAX_SESSIONS: '0' }, 'WORKER_MAX_SESSIONS must be a whole number from 1 to 1000'],
    ['api', { ...hooked, WEBHOOKS: 'backend' }, 'WEBHOOKS entry 1 must be name=url|whsec_secret'],
    [
      'api',
      { ...hooked, WEBHOOKS: `backend=http://a.example/|${signing}` },
      'WEBHOOKS entry 1 must have an https:// URL (http:// for loopback only)',
    ],
    [
      'api',
      { ...hooked, WEBHOOKS: `backend=https://me:word@a.example/|${signing}` },
      'WEBHOOKS entry 1 must have a URL without user name, password and fragment',
    ],
    [
      'api',
      { ...hooked, WEBHOOKS: 'backend=https://a.example/|whsec_c2hvcnQ=' },
      'WEBHOOKS entry 1 must have secrets of whsec_ and the base64 of 24 to 64 bytes',
    ],
    [
      'api',
      { ...hooked, WEBHOOKS: `backend=https://a.example/|${signing},backend=https://b.example/|${signing}` },
      'WEBHOOKS must name each key once',
    ],
    ['api', { ...hooked, WEBHOOKS: `other=https://a.example/|${signing}` }, 'WEBHOOKS may name keys of API_KEYS only'],
    [
      'api',
      { ...hooked, WEBHOOKS: `backend=http://localhost:9/|${signing}` },
      'WEBHOOKS may go to loopback only while WEBHOOK_NETWORKS holds it',
    ],
    [
      'api',
      { ...hooked, WEBHOOK_NETWORKS: '10.0.0.0/16,0.0.0.0/0' },
      'WEBHOOK_NETWORKS entry 2 must be a network of at least /8 like 10.20.0.0/16 or fd00:1::/32',
    ],
    [
      'worker',
      { ...production, DAILY_BUNDLE_URL: 'http://simulator:8090/daily', PLAIN_HTTP_HOSTS: 'other' },
      'DAILY_BUNDLE_URL must be https unless its host is loopback or in PLAIN_HTTP_HOSTS',
    ],
    [
      'api',
      { ...production, PLAIN_HTTP_HOSTS: 'simulator,http://x' },
      'PLAIN_HTTP_HOSTS entry 2 must be a host, without a scheme or a pattern',
    ],
    [
      'simulator',
      { SIMULATOR_HOST: '0.0.0.0' },
      'SIMULATOR_HOST must be loopback unless SIMULATOR_ALLOWED_HOSTS is set',
    ],
  ] as const)('%s: %o', (service, env, problem) => {
    expect(problemsOf(service, env)).toEqual([problem]);
  });

  it.each([
    'redis://localhost',
    'rediss://user:pw@cache.example.com:6380/2',
    'redis+sentinel://:pw@s1:26379,s2:26379/main',
    'redis+cluster://a:7000,b:7001',
    'redis://[::1]:6379',
  ])('takes %s', (url) => {
    expect(loadConfig('cli', { ...simulator, REDIS_URL: url }).redis.url.reveal()).toBe(url);
  });

  it('speaks without TLS to the hosts that were named, and to no other', () => {
    const origin = 'http://simulator:8090';
    const env = { TAVUS_BASE_URL: origin, DAILY_BUNDLE_URL: `${origin}/daily`, USER_ROOM_HOSTS: origin };
    const named = { ...production, ...env, PLAIN_HTTP_HOSTS: 'simulator' };
    expect(problemsOf('worker', named)).toEqual([]);
    expect(problemsOf('worker', { ...named, PLAIN_HTTP_HOSTS: 'simulator.example' })).toHaveLength(3);
  });

  it('lets the operator’s tool run without a Tavus key', () => {
    expect(loadConfig('cli', { FLEET_ID: 'prod' }).tavus.apiKey).toBeUndefined();
  });
});

describe('webhooks', () => {
  it('are read with one secret or several, and with a token in their URL', () => {
    const config = loadConfig('api', {
      ...hooked,
      WEBHOOKS: `backend=https://a.example/hook/?t=1|${signing}|${signing}`,
    });
    expect(config.webhooks.reveal()).toEqual([
      { name: 'backend', url: 'https://a.example/hook/?t=1', secrets: [signing, signing] },
    ]);
  });

  it('are sent to loopback where that is allowed', () => {
    const allowed = { ...hooked, WEBHOOKS: `backend=http://127.0.0.1:9/|${signing}`, WEBHOOK_NETWORKS: '127.0.0.0/8' };
    expect(loadConfig('api', allowed).webhookNetworks).toEqual(['127.0.0.0/8']);
  });
});

describe('secrets', () => {
  const config = loadConfig('api', { ...production, REDIS_URL: 'redis://:hunter2@cache:6379' });

  it.each([
    ['JSON', () => JSON.stringify(config)],
    ['print', () => inspect(config, { depth: 9, showHidden: true })],
    ['template', () => [config.redis.url, config.tavus.apiKey, config.keys].map(String).join(' ')],
  ])('are not seen in %s', (_, show) => {
    const shown = show();
    expect(shown).toContain('[redacted]');
    for (const value of ['hunter2', 'tavus-key-value', hash]) expect(shown).not.toContain(value);
  });

  it('are not seen in the error', () => {
    expect(() => loadConfig('api', { ...production, API_KEYS: 'backend:hunter2', REDIS_URL: 'bad://hunter2' })).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('hunter2') }),
    );
  });
});

describe('generated pages', () => {
  const file = (path: string): string => readFileSync(resolve(import.meta.dirname, '../../..', path), 'utf8');

  it('equal the schema (else run: node libs/config/src/generate.ts)', () => {
    expect(file('.env.example')).toBe(renderEnvExample());
    expect(file('docs/configuration.md')).toBe(renderConfigurationPage());
  });

  it('.env.example is itself a usable development environment', () => {
    const lines = renderEnvExample()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    const env = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
    for (const service of services) expect(problemsOf(service, { ...env, ...simulator })).toEqual([]);
  });
});
