import { FleetError } from '@tavus-fleet/contracts';
import { expect, it } from 'vitest';
import { isRedisDown, redisCall } from './call.ts';

it.each([
  ['ECONNREFUSED', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), true],
  ['a deadline', new Error('Command timed out'), true],
  ['a failover', new Error("READONLY You can't write against a read only replica."), true],
  ['a cluster that is down', new Error("Cluster isn't ready and enableOfflineQueue options is false"), true],
  ['full memory', new Error("OOM command not allowed when used memory > 'maxmemory'."), true],
  ['a wrong command', new Error('ERR wrong number of arguments'), false],
  ['something thrown', 'text', false],
])('%s', (_, error, down) => {
  expect(isRedisDown(error)).toBe(down);
});

it('maps to a code and keeps no argument of the command, which may be a token', async () => {
  const raw = Object.assign(new Error('Connection is closed.'), { command: { name: 'hset', args: ['token-123'] } });
  const error = await redisCall(() => Promise.reject(raw)).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'redis-unavailable' });
  expect(
    JSON.stringify(error, Object.getOwnPropertyNames(error)) +
      JSON.stringify(error instanceof FleetError ? error.cause : ''),
  ).not.toContain('token-123');
});
