import { readFile, readdir } from 'node:fs/promises';

const pageBytes = 4096; // statm counts pages; x64 and most arm64 kernels

/**
 * Memory of a process and all its descendants, bytes: the sum of PSS, which counts shared pages once (RSS sums are three to
 * four times too high with Chromium). A sandboxed renderer hides its smaps from an ordinary user: then its unshared part. 0 where /proc is missing.
 */
export async function processTreeMemoryBytes(rootPid: number): Promise<number> {
  const sizes = await Promise.all((await processTree(rootPid)).map(memoryOf));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** The process and its descendants, parents first. */
export async function processTree(rootPid: number): Promise<number[]> {
  const names = await readdir('/proc').catch(() => [] as string[]); // not Linux: no tree to see
  const children = new Map<number, number[]>();
  await Promise.all(
    names.map(async (name) => {
      if (!/^\d+$/.test(name)) return;
      const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => ''); // gone meanwhile
      // The command stands in brackets and may itself hold brackets and spaces: count from the last one.
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      if (Number.isInteger(parent)) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    }),
  );
  const tree = [rootPid];
  for (let index = 0; index < tree.length; index += 1) tree.push(...(children.get(tree[index] ?? -1) ?? []));
  return tree;
}

async function memoryOf(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  const pss = /^Pss:\s+(\d+) kB/m.exec(rollup)?.[1];
  if (pss) return Number(pss) * 1024;
  return privateBytes(pid);
}

async function privateBytes(pid: number): Promise<number> {
  const [, resident, shared] = (await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '')).split(' ').map(Number);
  return Math.max(0, ((resident ?? 0) - (shared ?? 0)) * pageBytes);
}

/** One process of a browser: what it holds for itself alone, bytes, and whether it is a page's. */
export type BrowserProcess = { readonly pid: number; readonly privateBytes: number; readonly renderer: boolean };

/** The processes of a tree with their unshared memory: two small files each, so cheap enough to be asked every few seconds (PSS is not). */
export async function browserProcesses(rootPid: number): Promise<BrowserProcess[]> {
  return Promise.all(
    (await processTree(rootPid)).map(async (pid) => {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''); // gone meanwhile
      return { pid, privateBytes: await privateBytes(pid), renderer: /--type=renderer\b/.test(command) };
    }),
  );
}
