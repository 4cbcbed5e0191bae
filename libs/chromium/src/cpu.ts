import { readFile } from 'node:fs/promises';
import { processTree } from './memory.ts';

const TICKS_PER_SECOND = 100; // USER_HZ: the same on every Linux that Chromium runs on

/**
 * CPU seconds that a process and its present descendants have used since each began. One that ends takes its seconds with it. Undefined where
 * /proc is missing.
 */
export async function processTreeCpuSeconds(rootPid: number): Promise<number | undefined> {
  const ticks = await Promise.all((await processTree(rootPid)).map(ticksOf));
  const known = ticks.filter((each) => each !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
}

async function ticksOf(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  if (stat === '') return undefined; // gone meanwhile
  // After the command in brackets: state is field 3, utime and stime are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
