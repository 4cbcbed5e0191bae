import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os';

export type Machine = {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGb: number;
  readonly platform: string;
  readonly node: string;
  readonly loadAverage: readonly number[];
  readonly date: string;
};

/** Where and when figures were taken; a figure without it says nothing. */
export function machine(): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    platform: platform(),
    node: process.version,
    loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
    date: new Date().toISOString(),
  };
}

export type CpuTimes = { readonly busy: number; readonly idle: number; readonly steal: number };

/** Of all cores since boot, in the kernel's ticks (100 a second on Linux); undefined elsewhere. */
export function cpuTimes(): CpuTimes | undefined {
  try {
    const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = line
      .split(/\s+/)
      .slice(1)
      .map(Number);
    return { busy: user + nice + system + irq + softirq, idle: idle + iowait, steal };
  } catch {
    return undefined;
  }
}

/** Shares of all cores between two readings, in percent. `steal`: the hypervisor gave our time to somebody else. */
export function cpuShares(
  before: CpuTimes | undefined,
  after: CpuTimes | undefined,
): { busyPercent: number; stealPercent: number } | undefined {
  if (!before || !after) return undefined;
  const steal = after.steal - before.steal;
  const busy = after.busy - before.busy;
  const all = Math.max(1, steal + busy + after.idle - before.idle);
  return { busyPercent: Math.round((busy * 100) / all), stealPercent: Math.round((steal * 100) / all) };
}
