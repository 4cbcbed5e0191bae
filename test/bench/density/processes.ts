import { readdirSync, readFileSync } from 'node:fs';

/** The kernel's clock ticks a second, as /proc counts CPU; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** A process and its descendants, parents first; empty where /proc is missing or the process has gone. */
export function tree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of entries('/proc')) {
    const parent = Number(statFields(`/proc/${name}/stat`)[1]);
    if (/^\d+$/.test(name) && Number.isInteger(parent))
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [pid];
  for (let at = 0; at < found.length; at += 1) found.push(...(children.get(found[at] ?? -1) ?? []));
  return found;
}

/** The browsers below a service; it may have other children (a bundler, which lives on unused). */
export const browsersOf = (pid: number): number[] =>
  tree(pid).filter((child) => child !== pid && /chrom|headless/i.test(textOf(`/proc/${child}/cmdline`)));

export const isAlive = (pid: number): boolean => textOf(`/proc/${pid}/stat`) !== '';

/** CPU seconds used so far, user and kernel. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + secondsOf(`/proc/${pid}/stat`), 0);
}

/** CPU seconds by thread name, numbers in names left out so that a pool counts as one. */
export function cpuSecondsByThread(pids: readonly number[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const pid of pids) {
    const role = roleOf(pid);
    for (const task of entries(`/proc/${pid}/task`)) {
      const name = `${role}/${commandOf(`/proc/${pid}/task/${task}/stat`).replaceAll(/\d+/g, '')}`;
      found.set(name, (found.get(name) ?? 0) + secondsOf(`/proc/${pid}/task/${task}/stat`));
    }
  }
  return found;
}

/** Memory, MB: PSS, which counts a shared page once. */
export function pssMb(pids: readonly number[]): number {
  const kb = pids.map((pid) => Number(/^Pss:\s+(\d+) kB/m.exec(textOf(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0));
  return kb.reduce((sum, size) => sum + size, 0) / 1024;
}

const secondsOf = (stat: string): number => {
  const fields = statFields(stat);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
};

/** The fields behind the command, which stands in brackets and may hold brackets and spaces itself. */
function statFields(file: string): string[] {
  const text = textOf(file);
  return text === '' ? [] : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function commandOf(stat: string): string {
  const text = textOf(stat);
  return text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
}

/** What a process of a browser is for: `browser`, `renderer`, or the name of its service (`network`, `audio`, …). */
export function roleOf(pid: number): string {
  const line = textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
  return /--utility-sub-type=(\w+)/.exec(line)?.[1] ?? /--type=([\w-]+)/.exec(line)?.[1] ?? 'browser';
}

/** Empty when the process has just gone. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
