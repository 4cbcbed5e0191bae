import type { TestProject } from 'vitest/node';
import { startRedis } from './redis-server.ts';

/** One Redis per test run. Vitest runs this once, in its main process, and calls what it returns at the end. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startRedis();
  project.provide('redisUrl', server.url);
  return () => server.stop();
}
