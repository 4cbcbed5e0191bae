export { CutProxy } from './cut-proxy.ts';
export { findRedisServer } from './redis-binary.ts';
export { OtlpCollector, type CollectedSpan } from './otlp-collector.ts';
export { redisFixture, type RedisFixture, type RedisFixtureOptions } from './redis-fixture.ts';
export { startRedis, type RedisOptions, type RedisServer } from './redis-server.ts';
export {
  Listener,
  Listeners,
  type ListenerReport,
  type Picture,
  type ReadPicture,
  type StreamPicture,
} from './listener.ts';
export { SilentProxy } from './silent-proxy.ts';
export { Stack, type StackOptions } from './stack.ts';
export { startService, type ServiceProcess } from './service-process.ts';
export { FaultProxy } from './fault-proxy.ts';
export { RedisCluster } from './redis-cluster.ts';
export { RedisSentinels } from './redis-sentinel.ts';
