export { ConfigError, EX_CONFIG, type ConfigProblem } from './config-error.ts';
export type { ApiKey } from './formats.ts';
export { loadConfig, type Environment } from './load-config.ts';
export { isLoopbackHost, isLoopbackUrl } from './loopback.ts';
export { Secret } from './secret.ts';
export type {
  ApiConfig,
  CliConfig,
  LogLevel,
  RedisSettings,
  Settings,
  SimulatorConfig,
  TavusSettings,
  WorkerConfig,
} from './settings.ts';
export type { Service } from './variables.ts';
export type { WebhookEndpoint } from './webhook-formats.ts';
