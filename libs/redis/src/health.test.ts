import { expect, it } from 'vitest';
import { readServerInfo } from './health.ts';

it.each([
  [
    'redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\nconnected_slaves:1\r\n',
    { version: '7.0.15', replicas: 1, warnings: [] },
  ],
  ['redis_version:6.0.9\r\nmaxmemory_policy:noeviction\r\n', { warnings: [expect.stringContaining('too old')] }],
  ['redis_version:7.2.0\r\nmaxmemory_policy:allkeys-lru\r\n', { warnings: [expect.stringContaining('noeviction')] }],
])('reads INFO', (info, expected) => {
  expect(readServerInfo(info)).toMatchObject(expected);
});
