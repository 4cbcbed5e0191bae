import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

const prefix = 'tavus-fleet-profile-';

/**
 * Makes a throw-away profile directory, and removes those that processes of this host left behind when they were killed. The
 * host's name stands in them because containers may share /tmp: there another container's process id means nothing.
 */
export async function makeProfile(directory = tmpdir()): Promise<string> {
  const host = hostname().replaceAll(/[^A-Za-z0-9.]/g, '_');
  const own = new RegExp(`^${prefix}${RegExp.escape(host)}-(\\d+)-`);
  for (const name of await readdir(directory)) {
    const pid = own.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const path = join(directory, name);
    if (await isOurs(path)) await removeProfile(path);
  }
  return mkdtemp(join(directory, `${prefix}${host}-${process.pid}-`));
}

/** Removes it; Chromium's last writers may still be ending, hence the retries. */
export async function removeProfile(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** Another user's left-overs are not ours to remove, nor could we. Gone meanwhile counts as not ours either. */
async function isOurs(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && found.uid === process.getuid?.();
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: alive, another user's. Its directory is not ours to remove either.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
