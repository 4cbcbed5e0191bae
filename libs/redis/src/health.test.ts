import { FakeClock } from '@tavus-fleet/lifecycle';
import { expect, it } from 'vitest';
import { readServerInfo, RedisHealth } from './health.ts';

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

it('is steady only since the last gap: one failed ping is one', async () => {
  const clock = new FakeClock();
  let fails = false;
  const ping = async (): Promise<string> => {
    if (fails) throw new Error('Command timed out');
    return 'PONG';
  };
  const health = new RedisHealth({ ping }, { clock, everyMs: 500 });
  expect([health.up, health.steadyMs]).toEqual([false, 0]);
  health.start();
  await clock.pass(5000);
  expect([health.up, health.steadyMs]).toEqual([true, 5000]);
  fails = true;
  await clock.pass(500);
  expect([health.up, health.steadyMs]).toEqual([true, 0]);
  fails = false;
  await clock.pass(3000);
  expect([health.up, health.steadyMs]).toEqual([true, 2500]);
  fails = true;
  await clock.pass(2500);
  expect(health.up).toBe(false);
  health.close();
  expect(clock.pending).toBe(0);
});

it('a process that was stopped has not been steady', async () => {
  const clock = new FakeClock();
  const health = new RedisHealth({ ping: async () => 'PONG' }, { clock, everyMs: 500 });
  await health.check();
  await clock.pass(60_000); // no ping all that time
  await health.check();
  expect([health.up, health.steadyMs]).toEqual([true, 0]);
});
