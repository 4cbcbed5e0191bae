import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { alone } from './lock.mjs';
import { toolsDir } from './paths.mjs';
import { install } from './report.mjs';

const VERSION = 'v3.22.0';
const TIMEOUT_MS = 6 * 60_000;
const ours = join(toolsDir, 'helm/helm');

/** The helm to use: the machine's, or the one that was built here. Undefined: there is none. */
export function findHelm(): string | undefined {
  return runs('helm') ? 'helm' : existsSync(ours) ? ours : undefined;
}

/** Builds helm where the machine has none and has Go: its releases are not on npm, and its source is what Go's own module index serves. */
export async function ensureHelm(): Promise<void> {
  if (findHelm() !== undefined) return;
  if (!runs('go', 'version')) {
    process.stdout.write('neither helm nor go is here: the chart is not checked\n');
    return;
  }
  try {
    await alone('helm', async () => {
      if (findHelm() === undefined) await install(`helm ${VERSION} in .tools/helm`, build);
    });
  } catch (error) {
    // No helm is no fault of the chart; the verdict says how many checks were left out.
    process.stdout.write(`helm could not be built (${String(error).slice(0, 300)}): the chart is not checked\n`);
  }
}

async function build(): Promise<void> {
  mkdirSync(join(toolsDir, 'helm'), { recursive: true });
  await promisify(execFile)('go', ['install', `helm.sh/helm/v3/cmd/helm@${VERSION}`], {
    env: { ...process.env, GOBIN: join(toolsDir, 'helm'), GOFLAGS: '-trimpath' },
    timeout: TIMEOUT_MS,
    maxBuffer: 16 * 1024 * 1024,
  });
}

function runs(command: string, argument = 'version'): boolean {
  try {
    execFileSync(command, [argument], { stdio: 'ignore', timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}
