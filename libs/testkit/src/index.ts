export { CutProxy } from './cut-proxy.ts';
export { findRedisServer } from './redis-binary.ts';
export { OtlpCollector, type CollectedSpan } from './otlp-collector.ts';
export { redisFixture, type RedisFixture, type RedisFixtureOptions } from './redis-fixture.ts';
export { startRedis, type RedisOptions, type RedisServer } from './redis-server.ts';
export { Listener, Listeners, type ListenerReport, type Picture } from './listener.ts';
export { Stack, type StackOptions } from './stack.ts';
export { startService, type ServiceProcess } from './service-process.ts';
