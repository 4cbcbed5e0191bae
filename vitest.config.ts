import { defineConfig } from 'vitest/config';

const unitTests = '{libs,services,infra}/**/*.test.ts';
const redisTests = '{libs,services,infra}/**/*.redis.test.ts';
const chartTests = 'infra/helm/**/*.test.ts';
const redisSetup = ['./libs/testkit/src/redis-global-setup.ts'];

/**
 * Real sockets, processes and media on a shared machine: another tenant's second of CPU is a late answer or a gap in a voice. A test
 * that passes only the second time is printed as such, so that a race of ours still shows; at a desk nothing is repeated.
 */
const onSharedMachines = { retry: process.env['CI'] ? 2 : 0 } as const;

/** Several processes, or a browser: one file at a time, so that timings are the product's and not the neighbour's. */
const inTurn = { ...onSharedMachines, fileParallelism: false, globalSetup: redisSetup } as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [unitTests],
          exclude: ['**/node_modules/**', redisTests, chartTests],
          testTimeout: 10_000,
        },
      },
      { test: { name: 'chart', include: [chartTests], testTimeout: 30_000 } },
      { test: { name: 'parity', include: ['test/parity/**/*.test.ts'], testTimeout: 20_000 } },
      {
        test: {
          name: 'redis',
          include: [redisTests],
          exclude: ['**/node_modules/**'],
          testTimeout: 30_000,
          ...onSharedMachines,
          globalSetup: redisSetup,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          ...inTurn,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          ...onSharedMachines,
          // Whole fleets in one process, without browsers: they wait most of the time, each on keys of its own.
          maxWorkers: 3,
          maxConcurrency: 20,
          globalSetup: redisSetup,
        },
      },
      {
        test: {
          name: 'faults-live',
          include: ['test/faults/live/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          ...inTurn,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          ...inTurn,
        },
      },
      {
        test: {
          name: 'containers',
          include: ['test/containers/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          ...onSharedMachines,
          fileParallelism: false,
        },
      },
    ],
  },
});
