import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { toolsDir } from './paths.mjs';
import { SetupError } from './report.mjs';

const HEARTBEAT_MS = 2000;
const STALE_MS = 20_000;
const POLL_MS = 200;
const GIVE_UP_MS = 15 * 60_000;

/**
 * Does `work` while no other command of this checkout does: two commands started at once must not both fill
 * node_modules. The lock is a directory, since making one is atomic everywhere; the holder touches it, so a lock whose
 * holder was killed is seen to be dead also from another container or host.
 *
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function alone(name, work) {
  mkdirSync(toolsDir, { recursive: true });
  const dir = join(toolsDir, `.lock-${name}`);
  await acquire(dir);
  const heartbeat = setInterval(() => touch(dir), HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** @param {string} dir */
async function acquire(dir) {
  const deadline = Date.now() + GIVE_UP_MS;
  while (Date.now() < deadline) {
    try {
      mkdirSync(dir);
      writeFileSync(join(dir, 'owner'), `${process.pid} ${hostname()}`);
      return;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    if (isAbandoned(dir)) discard(dir);
    else await pause(POLL_MS);
  }
  throw new SetupError(
    `another command has been installing for ${GIVE_UP_MS / 60_000} minutes; if none runs, remove ${dir}`,
  );
}

/** @param {string} dir */
function isAbandoned(dir) {
  try {
    if (Date.now() - statSync(dir).mtimeMs > STALE_MS) return true;
    const [pid, host] = readFileSync(join(dir, 'owner'), 'utf8').split(' ');
    return host === hostname() && !isAlive(Number(pid));
  } catch {
    return false; // just taken (no owner file yet) or just released: look again
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM'; // alive, but another user's
  }
}

/**
 * Of several who saw the same dead lock only one gets to rename it; the others find it gone.
 *
 * @param {string} dir
 */
function discard(dir) {
  const aside = `${dir}.${process.pid}`;
  try {
    renameSync(dir, aside);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return;
  }
  rmSync(aside, { recursive: true, force: true });
}

/** @param {string} dir */
function touch(dir) {
  try {
    utimesSync(dir, new Date(), new Date());
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
