export { findRedisServer } from './redis-binary.ts';
export { redisFixture, type RedisFixture, type RedisFixtureOptions } from './redis-fixture.ts';
export { startRedis, type RedisOptions, type RedisServer } from './redis-server.ts';
