import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Where this process stands for one controller: its own folder first, then its parents up to the mount. Version 1 or 2. */
export type Cgroup = { readonly version: 1 | 2; readonly dirs: readonly string[] };

const MOUNT = 'sys/fs/cgroup';

/**
 * The cgroup that limits this process. Limits of parents count too, so a reader takes the tightest. Undefined where there is none
 * (not Linux). `root` is `/` but in tests. In a container without its own namespace the path that the kernel names is not
 * visible below the mount: then the mount itself is ours.
 */
export async function cgroupOf(controller: 'cpu' | 'memory', root = '/'): Promise<Cgroup | undefined> {
  const lines = (await textOf(join(root, 'proc/self/cgroup'))).split('\n').map((line) => line.split(':'));
  // Version 1 wins in a hybrid setup: a controller that is mounted there is not in the unified tree.
  const old = lines.find(([, controllers]) => controllers?.split(',').includes(controller));
  if (old?.[1] !== undefined) {
    const [, names, path = ''] = old;
    for (const name of [names, controller]) {
      const mount = join(root, MOUNT, name);
      if (await exists(mount)) return { version: 1, dirs: await upwards(mount, path) };
    }
  }
  const unified = lines.find(([id, controllers]) => id === '0' && controllers === '');
  const mount = join(root, MOUNT);
  if (!unified || !(await exists(join(mount, 'cgroup.controllers')))) return undefined;
  return { version: 2, dirs: await upwards(mount, unified[2] ?? '') };
}

/** The content of a small file; empty when it is not there. */
export async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}

/** The first number in a file; NaN when there is none (`max`: no limit). */
export async function numberIn(file: string): Promise<number> {
  const text = (await textOf(file)).trim();
  return /^\d+/.test(text) ? Number.parseInt(text, 10) : Number.NaN;
}

async function upwards(mount: string, path: string): Promise<string[]> {
  const dirs: string[] = [];
  for (let dir = join(mount, path); dir.startsWith(mount); dir = dirname(dir)) if (await exists(dir)) dirs.push(dir);
  return dirs;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
