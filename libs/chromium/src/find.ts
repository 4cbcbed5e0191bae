import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { FleetError } from '@tavus-fleet/contracts';
import { childEnvironment, type Environment } from './environment.ts';
import { unpackPackaged } from './unpack.ts';

const run = promisify(execFile);

/**
 * Installed browsers, best first. The headless shell starts faster and takes 30–90 MB less per browser than a full
 * Chromium (measured with 156). `/usr/lib/chromium/chromium` before `/usr/bin/chromium`: Debian's wrapper adds flags of its own.
 */
const installed = [
  '/usr/bin/chromium-headless-shell',
  '/usr/lib/chromium/chromium-headless-shell',
  '/usr/lib/chromium/chromium',
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

export type FindOptions = {
  /** The operator's choice (CHROMIUM_PATH). Given but not executable is an error: never a silent other browser. */
  readonly executablePath?: string | undefined;
  /** Our environment; only the harmless part of it reaches Chromium. */
  readonly env?: Environment;
  readonly signal?: AbortSignal;
};
export type FoundChromium = {
  readonly executablePath: string;
  /** The environment to start it with: filtered, plus the libraries and fonts it brought along. */
  readonly env: Record<string, string>;
};

/** A Chromium that can start on this machine: the given one, else an installed one, else the npm package's (Linux x64), unpacked once per user and version. */
export async function findChromium(options: FindOptions = {}): Promise<FoundChromium> {
  const env = childEnvironment(options.env ?? {});
  if (options.executablePath) {
    if (!(await isExecutable(options.executablePath))) {
      throw new FleetError('browser-failed', `CHROMIUM_PATH is not an executable file: ${options.executablePath}`);
    }
    return { executablePath: options.executablePath, env };
  }
  for (const path of installed) if (await isExecutable(path)) return { executablePath: path, env };
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new FleetError(
      'browser-failed',
      'No Chromium is installed and none is packaged for this platform: install chromium-headless-shell or set CHROMIUM_PATH.',
    );
  }
  const executablePath = await unpackPackaged({ parts: ['chromium', 'fonts'], ...pick(options.signal) });
  const root = dirname(executablePath);
  const withFonts = (await isReadable('/etc/fonts/fonts.conf'))
    ? env
    : { ...env, FONTCONFIG_PATH: join(root, 'fonts') };
  if (!(await librariesMissing(executablePath, withFonts))) return { executablePath, env: withFonts };
  const libraries = dirname(await unpackPackaged({ parts: ['al2023'], ...pick(options.signal) }));
  const paths = [join(libraries, 'al2023', 'lib'), withFonts['LD_LIBRARY_PATH']].filter(Boolean);
  return { executablePath, env: { ...withFonts, LD_LIBRARY_PATH: paths.join(':') } };
}

function pick(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}

// A bare Debian or Ubuntu lacks libnss3, libnspr4, libnssutil3 and libexpat; the package brings them (built for AL2023, load fine).
async function librariesMissing(executablePath: string, env: Record<string, string>): Promise<boolean> {
  try {
    const { stdout } = await run('ldd', [executablePath], { env, timeout: 10_000 });
    return stdout.includes('not found');
  } catch {
    return true; // no ldd (not glibc's usual tools): the brought libraries do no harm
  }
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}
