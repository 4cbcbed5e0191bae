import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alone } from './lock.mjs';
import { npm } from './npm.mjs';
import { root } from './paths.mjs';
import { install, SetupError } from './report.mjs';

const TIMEOUT_MS = 10 * 60_000;
const lockFile = join(root, 'package-lock.json');
const installedFile = join(root, 'node_modules/.package-lock.json'); // npm's own list of what it put there
const stampFile = join(root, 'node_modules/.lock-hash');

/** @typedef {{ version?: string, link?: boolean, optional?: boolean }} LockEntry */

/** Makes node_modules what package-lock.json says. */
export async function ensurePackages() {
  if (isCurrent()) return;
  await alone('packages', async () => {
    if (isCurrent()) return; // another command did it while we waited
    await install('packages in node_modules', async () => {
      const code = await npm(['ci'], { cwd: root, timeoutMs: TIMEOUT_MS });
      if (code !== 0)
        throw new SetupError(
          `npm ci failed (exit ${code}); after a change of dependencies see "Dependencies" in docs/development.md`,
        );
      writeFileSync(stampFile, lockHash());
    });
  });
}

function isCurrent() {
  if (!existsSync(installedFile)) return false;
  const hash = lockHash();
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === hash) return true;
  // Somebody ran npm themselves. If the result is what the lock says, tearing it down again would only cost time and
  // break what runs from it.
  if (!matches(entries(lockFile), entries(installedFile))) return false;
  writeFileSync(stampFile, hash);
  return true;
}

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(lockFile))
    .update(`${process.platform}-${process.arch}`)
    .digest('hex');
}

/** @param {string} file @returns {Record<string, LockEntry>} */
function entries(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages;
}

/**
 * Workspaces themselves are not listed among the installed; their links are. An optional package may be absent: it is
 * another platform's.
 *
 * @param {Record<string, LockEntry>} wanted
 * @param {Record<string, LockEntry>} present
 */
export function matches(wanted, present) {
  for (const [path, entry] of Object.entries(wanted)) {
    if (!/(^|\/)node_modules\//.test(path)) continue;
    const found = present[path];
    if (!found) {
      if (entry.optional) continue;
      return false;
    }
    if (found.version !== entry.version || Boolean(found.link) !== Boolean(entry.link)) return false;
  }
  return true;
}
