import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { processTreeCpuSeconds } from '@tavus-fleet/chromium';
import type { Clock } from '@tavus-fleet/lifecycle';
import { cgroupOf, numberIn, textOf } from './cgroup.ts';

/** CPUs that this process may use: those it may run on, less where a cgroup's quota (or a parent's) says so. */
export async function allowedCpus(root = '/', cores = availableParallelism()): Promise<number> {
  const cgroup = await cgroupOf('cpu', root);
  const quotas = await Promise.all(
    (cgroup?.dirs ?? []).map((dir) => (cgroup?.version === 1 ? quotaV1(dir) : quotaV2(dir))),
  );
  return Math.min(cores, ...quotas.filter((quota) => Number.isFinite(quota) && quota > 0));
}

async function quotaV2(dir: string): Promise<number> {
  const [quota, period] = (await textOf(join(dir, 'cpu.max'))).trim().split(' ').map(Number);
  return (quota ?? Number.NaN) / (period ?? Number.NaN);
}

async function quotaV1(dir: string): Promise<number> {
  const [quota, period] = await Promise.all([
    numberIn(join(dir, 'cpu.cfs_quota_us')),
    numberIn(join(dir, 'cpu.cfs_period_us')),
  ]);
  return quota / period; // -1 = none: it is no number for numberIn
}

/**
 * Share (0–1) of the CPUs we may use that this worker and its browsers used since the last look. Their own use and not the
 * machine's: a neighbour's load is no reason for an idle worker to refuse for ever; where it hurts us, the event loop shows it.
 */
export class CpuMeter {
  readonly #clock: Clock;
  readonly #seconds: () => Promise<number | undefined>;
  readonly #cpus: () => Promise<number>;
  #last: { readonly at: number; readonly seconds: number } | undefined;

  constructor(
    clock: Clock,
    seconds: () => Promise<number | undefined> = () => processTreeCpuSeconds(process.pid),
    cpus: () => Promise<number> = () => allowedCpus(),
  ) {
    this.#clock = clock;
    this.#seconds = seconds;
    this.#cpus = cpus;
  }

  /** Undefined at the first look and where the system does not say. */
  async read(): Promise<number | undefined> {
    const seconds = await this.#seconds();
    if (seconds === undefined) return undefined;
    const [at, last] = [this.#clock.now(), this.#last];
    this.#last = { at, seconds };
    if (!last || at <= last.at) return undefined;
    // A browser that ended takes its seconds along: never below nothing.
    const used = Math.max(0, seconds - last.seconds) / ((at - last.at) / 1_000);
    return used / (await this.#cpus());
  }
}
