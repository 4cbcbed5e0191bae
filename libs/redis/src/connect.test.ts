import { expect, it } from 'vitest';
import { isRedisDown } from './call.ts';
import { connectRedis, reconnectDelayMs } from './connect.ts';

it('waits longer each time, never over 875 ms, never gives up', () => {
  expect([1, 2, 3, 6, 100, 100_000].map((times) => reconnectDelayMs(times, () => 0.5))).toEqual([
    50, 100, 200, 700, 700, 700,
  ]);
  expect(reconnectDelayMs(50, () => 0)).toBe(525);
  expect(reconnectDelayMs(50, () => 0.9999)).toBeLessThanOrEqual(875);
});

it('does not connect before the first command, and says once that nobody is there', async () => {
  const lines: unknown[] = [];
  const log = { info: () => undefined, warn: (fields: unknown, message: string) => void lines.push([message, fields]) };
  const connection = connectRedis('redis://:secret@127.0.0.1:1', { role: 'commands', name: 'c', log });
  expect(connection.status).toBe('wait');
  await expect(connection.ping()).rejects.toSatisfy(isRedisDown);
  await expect(connection.ping()).rejects.toSatisfy(isRedisDown);
  expect(lines).toHaveLength(1);
  expect(JSON.stringify(lines)).not.toContain('secret');
  connection.disconnect();
});

it('a renewal does not wait in line', async () => {
  const log = { info: () => undefined, warn: () => undefined };
  const connection = connectRedis('redis://127.0.0.1:1', { role: 'lease', name: 'l', log });
  await expect(connection.ping()).rejects.toSatisfy(isRedisDown);
  connection.disconnect();
});
