import { join } from 'node:path';
import { cgroupOf, numberIn, textOf } from './cgroup.ts';

/**
 * Share (0–1) of the memory we may use that is used: by the cgroup whose limit is the tightest (what the kernel's OOM killer counts), or
 * by the whole machine where no limit is set. File cache that can be dropped at once does not count. Undefined where nothing can be read.
 */
export async function memoryShare(root = '/'): Promise<number | undefined> {
  const machine = await machineMemory(root);
  const cgroup = await cgroupOf('memory', root);
  let tightest: { share: number; limit: number } | undefined;
  for (const dir of cgroup?.dirs ?? []) {
    const { limit, used } = cgroup?.version === 1 ? await readV1(dir) : await readV2(dir);
    // "No limit" is `max`, or in version 1 a number beyond all memory there is.
    if (!Number.isFinite(limit) || !Number.isFinite(used) || limit <= 0 || limit >= (machine?.total ?? Infinity))
      continue;
    if (!tightest || limit < tightest.limit) tightest = { share: used / limit, limit };
  }
  return tightest?.share ?? machine?.share;
}

async function readV2(dir: string): Promise<{ limit: number; used: number }> {
  const [limit, current, stat] = await Promise.all([
    numberIn(join(dir, 'memory.max')),
    numberIn(join(dir, 'memory.current')),
    textOf(join(dir, 'memory.stat')),
  ]);
  return { limit, used: current - field(stat, 'inactive_file') };
}

async function readV1(dir: string): Promise<{ limit: number; used: number }> {
  const [limit, current, stat] = await Promise.all([
    numberIn(join(dir, 'memory.limit_in_bytes')),
    numberIn(join(dir, 'memory.usage_in_bytes')),
    textOf(join(dir, 'memory.stat')),
  ]);
  return { limit, used: current - field(stat, 'total_inactive_file') };
}

async function machineMemory(root: string): Promise<{ total: number; share: number } | undefined> {
  const text = await textOf(join(root, 'proc/meminfo'));
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
  const [total, available] = [bytes('MemTotal'), bytes('MemAvailable')];
  return Number.isFinite(total) && Number.isFinite(available) ? { total, share: 1 - available / total } : undefined;
}

function field(stat: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
}
