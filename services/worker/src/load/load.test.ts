import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { FakeClock, systemClock } from '@tavus-fleet/lifecycle';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { bandsFor, nearness, shortOf, smoothed, type Shortage, type Signals } from './brake.ts';
import { allowedCpus, CpuMeter } from './cpu.ts';
import { LoadWatch } from './load-watch.ts';
import { memoryShare } from './memory.ts';

const roots: string[] = [];
afterEach(async () => {
  for (const root of roots.splice(0)) await rm(root, { recursive: true, force: true });
});

/** A file system as a process in a container sees it. */
async function system(files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'load-'));
  roots.push(root);
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), text);
  }
  return root;
}

const MB = 1024 * 1024;
const meminfo = {
  'proc/meminfo': `MemTotal: ${8 * 1024 * 1024} kB\nMemFree: 1 kB\nMemAvailable: ${2 * 1024 * 1024} kB\n`,
};
const unified = { 'proc/self/cgroup': '0::/pod/worker\n', 'sys/fs/cgroup/cgroup.controllers': 'cpu memory\n' };
const v1 = { 'proc/self/cgroup': '4:memory:/pod/worker\n3:cpu,cpuacct:/pod/worker\n0::/\n' };

describe('memory', () => {
  it.each<{ where: string; files: Record<string, string>; share: number }>([
    {
      where: 'in a container (version 2), without the cache that can go at once',
      files: {
        ...unified,
        'sys/fs/cgroup/pod/worker/memory.max': `${1000 * MB}\n`,
        'sys/fs/cgroup/pod/worker/memory.current': `${700 * MB}\n`,
        'sys/fs/cgroup/pod/worker/memory.stat': `anon 5\ninactive_file ${200 * MB}\nactive_file 7\n`,
      },
      share: 0.5,
    },
    {
      where: 'where a parent has the tighter limit',
      files: {
        ...unified,
        'sys/fs/cgroup/pod/worker/memory.max': 'max\n',
        'sys/fs/cgroup/pod/worker/memory.current': `${10 * MB}\n`,
        'sys/fs/cgroup/pod/memory.max': `${1000 * MB}\n`,
        'sys/fs/cgroup/pod/memory.current': `${900 * MB}\n`,
      },
      share: 0.9,
    },
    {
      where: 'in a container (version 1) whose own path is not visible',
      files: {
        ...v1,
        'sys/fs/cgroup/memory/memory.limit_in_bytes': `${400 * MB}\n`,
        'sys/fs/cgroup/memory/memory.usage_in_bytes': `${300 * MB}\n`,
        'sys/fs/cgroup/memory/memory.stat': `inactive_file 1\ntotal_inactive_file ${100 * MB}\n`,
      },
      share: 0.5,
    },
    {
      where: 'without a limit: the machine’s',
      files: {
        ...v1,
        'sys/fs/cgroup/memory/pod/worker/memory.limit_in_bytes': '9223372036854771712\n',
        'sys/fs/cgroup/memory/pod/worker/memory.usage_in_bytes': `${300 * MB}\n`,
      },
      share: 0.75,
    },
    { where: 'without cgroups: the machine’s', files: {}, share: 0.75 },
  ])('$where', async ({ files, share }) => {
    expect(await memoryShare(await system({ ...meminfo, ...files }))).toBeCloseTo(share, 6);
  });

  it('is not known where nothing can be read, and is on this machine', async () => {
    expect(await memoryShare(await system({}))).toBeUndefined();
    const here = await memoryShare();
    expect(here === undefined || (here > 0 && here < 1)).toBe(true);
  });
});

describe('CPUs that we may use', () => {
  it.each<{ where: string; files: Record<string, string>; cpus: number }>([
    {
      where: 'quota (version 2)',
      files: { ...unified, 'sys/fs/cgroup/pod/worker/cpu.max': '150000 100000\n' },
      cpus: 1.5,
    },
    {
      where: 'no quota (version 2)',
      files: { ...unified, 'sys/fs/cgroup/pod/worker/cpu.max': 'max 100000\n' },
      cpus: 8,
    },
    {
      where: 'a parent’s quota (version 2)',
      files: {
        ...unified,
        'sys/fs/cgroup/pod/worker/cpu.max': 'max 100000\n',
        'sys/fs/cgroup/pod/cpu.max': '200000 100000\n',
      },
      cpus: 2,
    },
    {
      where: 'quota (version 1)',
      files: {
        ...v1,
        'sys/fs/cgroup/cpu,cpuacct/pod/worker/cpu.cfs_quota_us': '50000\n',
        'sys/fs/cgroup/cpu,cpuacct/pod/worker/cpu.cfs_period_us': '100000\n',
      },
      cpus: 0.5,
    },
    {
      where: 'no quota (version 1)',
      files: {
        ...v1,
        'sys/fs/cgroup/cpu,cpuacct/pod/worker/cpu.cfs_quota_us': '-1\n',
        'sys/fs/cgroup/cpu,cpuacct/pod/worker/cpu.cfs_period_us': '100000\n',
      },
      cpus: 8,
    },
    {
      where: 'a quota above what there is',
      files: { ...unified, 'sys/fs/cgroup/cpu.max': '9900000 100000\n' },
      cpus: 8,
    },
    { where: 'no cgroups', files: {}, cpus: 8 },
  ])('$where', async ({ files, cpus }) => {
    expect(await allowedCpus(await system(files), 8)).toBeCloseTo(cpus, 6);
  });

  it('are measured by what was used between two looks', async () => {
    const clock = new FakeClock();
    let used: number | undefined = 10;
    const meter = new CpuMeter(
      clock,
      async () => used,
      async () => 2,
    );
    expect(await meter.read()).toBeUndefined();
    await clock.pass(2_000);
    used = 13;
    expect(await meter.read()).toBeCloseTo(0.75, 6);
    await clock.pass(1_000);
    used = 5; // a browser ended
    expect(await meter.read()).toBe(0);
    used = undefined;
    expect(await meter.read()).toBeUndefined();
  });

  it.runIf(process.platform === 'linux')('are measured on this machine too', async () => {
    const meter = new CpuMeter(systemClock);
    await meter.read();
    const until = performance.now() + 200;
    while (performance.now() < until); // work
    expect(await meter.read()).toBeGreaterThan(0.1);
  });
});

describe('the brake', () => {
  const bands = bandsFor({ cpu: 0.8, memory: 0.9 });
  const none: ReadonlySet<Shortage> = new Set();

  it.each<{ before: Shortage[]; signals: Signals; short: Shortage[] }>([
    { before: [], signals: {}, short: [] },
    { before: [], signals: { cpu: 0.79, memory: 0.89, eventLoopMs: 99 }, short: [] },
    { before: [], signals: { cpu: 0.8, memory: 0.9, eventLoopMs: 100 }, short: ['memory', 'cpu', 'event-loop'] },
    { before: ['cpu'], signals: { cpu: 0.7 }, short: ['cpu'] },
    { before: ['cpu'], signals: { cpu: 0.67 }, short: [] },
    { before: ['memory'], signals: { memory: 0.86, cpu: 0.7 }, short: ['memory'] },
    { before: ['event-loop'], signals: { eventLoopMs: 39 }, short: [] },
    { before: ['cpu'], signals: {}, short: [] },
  ])('after $before, at $signals: $short', ({ before, signals, short }) => {
    expect([...shortOf(new Set(before), signals, bands)]).toEqual(short);
  });

  it('changes at most once while a signal moves within its band', () => {
    const walk = fc.array(fc.double({ min: bands.cpu.off, max: 1.2, noNaN: true }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(walk, (values) => {
        let short = none;
        let changes = 0;
        for (const cpu of values) {
          const next = shortOf(short, { cpu }, bands);
          if (next.size !== short.size) changes += 1;
          short = next;
        }
        expect(changes).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('a load is as near as its nearest limit', () => {
    expect(nearness({}, bands)).toBe(0);
    expect(nearness({ cpu: 0.4, memory: 0.45, eventLoopMs: 10 }, bands)).toBeCloseTo(0.5, 6);
    expect(nearness({ cpu: 3 }, bands)).toBe(1);
  });

  it('smooths: a moment is no load, a while is', () => {
    let value = smoothed(undefined, 0.1, 1_000, 5_000);
    value = smoothed(value, 1, 1_000, 5_000);
    expect(value).toBeLessThan(0.3);
    for (let second = 0; second < 15; second += 1) value = smoothed(value, 1, 1_000, 5_000);
    expect(value).toBeGreaterThan(0.93);
    expect(smoothed(value, undefined, 1_000, 5_000)).toBe(value);
  });

  it('watches every second, tells each change once, and survives meters that fail', async () => {
    const clock = new FakeClock();
    const said: string[] = [];
    const world = { cpu: 0.5 as number | undefined };
    const watch = new LoadWatch({
      meters: {
        cpu: async () => world.cpu,
        memory: () => Promise.reject(new Error('no /proc')),
        eventLoopMs: () => undefined,
      },
      bands,
      clock,
      log: { warn: (_, message) => said.push(message), info: (_, message) => said.push(message) },
    });
    watch.start();
    await clock.pass(3_000);
    expect([watch.short, said]).toEqual([undefined, []]);
    world.cpu = 1;
    await clock.pass(30_000);
    expect(watch.short).toBe('cpu');
    expect(watch.nearness).toBe(1);
    world.cpu = 0.2;
    await clock.pass(30_000);
    expect(watch.short).toBeUndefined();
    expect(said).toEqual(['no further conversation is taken: overload', 'conversations are taken again']);
    watch.close();
    watch.close();
    expect(clock.pending).toBe(0);
  });
});
