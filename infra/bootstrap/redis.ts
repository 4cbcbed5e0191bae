import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, existsSync, globSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
// By path: the bootstrap is no workspace, and this file of the test kit imports nothing but Node.
import { findRedisServer, unpackedRedisDir } from '../../libs/testkit/src/redis-binary.ts';
import { alone } from './lock.mjs';
import { install, SetupError } from './report.mjs';

const TIMEOUT_MS = 3 * 60_000;
const REMEDY = 'install Redis 7 (macOS: brew install redis), or name a server in REDIS_SERVER_BIN';

/** Makes a redis-server available; on Debian and Ubuntu without root and without touching the system's own packages. */
export async function ensureRedis(): Promise<void> {
  if (findRedisServer()) return;
  if (!existsSync('/usr/bin/apt-get') || !existsSync('/usr/bin/dpkg-deb'))
    throw new SetupError(`no redis-server found: ${REMEDY}`);
  await alone('redis', async () => {
    if (!findRedisServer()) await install('redis-server in .tools/redis', unpackFromApt);
  });
}

/**
 * Lets apt name the packages this machine lacks for redis-server, downloads them with lists and cache of our own, and
 * unpacks instead of installing them. Asking apt rather than listing names keeps this right across releases, whose
 * library packages are called differently.
 */
async function unpackFromApt(): Promise<void> {
  const aside = `${unpackedRedisDir}.${process.pid}`;
  rmSync(aside, { recursive: true, force: true });
  for (const folder of ['apt/lists/partial', 'apt/cache/archives/partial', 'debs', 'root'])
    mkdirSync(join(aside, folder), { recursive: true });
  try {
    const apt = aptOptions(join(aside, 'apt'));
    await must('apt-get', [...apt, 'update', '-qq'], aside);
    const debs = join(aside, 'debs');
    await must('apt-get', [...apt, 'download', '-qq', ...missingPackages(apt)], debs);
    for (const deb of globSync('*.deb', { cwd: debs })) await must('dpkg-deb', ['-x', deb, '../root'], debs);
    writePrograms(aside);
    for (const folder of ['apt', 'debs']) rmSync(join(aside, folder), { recursive: true });
    execFileSync(join(aside, 'redis-server'), ['--version'], { stdio: 'ignore', timeout: 10_000 });
    rmSync(unpackedRedisDir, { recursive: true, force: true });
    renameSync(aside, unpackedRedisDir);
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw new SetupError(`Redis could not be unpacked (${String(error)}): ${REMEDY}`, { cause: error });
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

function aptOptions(dir: string): string[] {
  const settings = [
    `Dir::State::lists=${dir}/lists`,
    `Dir::Cache=${dir}/cache`,
    'APT::Sandbox::User=',
    'Debug::NoLocking=1',
    'Acquire::Languages=none',
    'Acquire::Retries=2',
  ];
  return settings.flatMap((setting) => ['-o', setting]);
}

/** What `apt-get install` would add here: redis-server and its libraries, without the tools that only set up a service. */
function missingPackages(apt: readonly string[]): string[] {
  const plan = execFileSync('apt-get', [...apt, '-s', '--no-install-recommends', 'install', 'redis-server'], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const names = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '');
  return names.filter((name) => /^(redis|lib|lua)/.test(name));
}

/**
 * Small scripts that find their libraries beside them. They exec, so that the pid is the server's, and they keep the
 * name: redis-server, redis-sentinel and redis-check-rdb are one file that looks at what it was called.
 */
function writePrograms(dir: string): void {
  const folders = new Set(globSync('root/**/*.so*', { cwd: dir }).map((file) => `$here/${dirname(file)}`));
  for (const name of ['redis-server', 'redis-cli']) {
    const program = join(dir, name);
    writeFileSync(
      program,
      `#!/bin/sh\nhere=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)\nexport LD_LIBRARY_PATH="${[...folders].join(':')}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\nexec "$here/root/usr/bin/${name}" "$@"\n`,
    );
    chmodSync(program, 0o755);
  }
}

/** Its output is kept for the error: apt's own hooks complain about a cache that an ordinary user cannot clean, and mean nothing here. */
async function must(file: string, args: string[], cwd: string): Promise<void> {
  try {
    await promisify(execFile)(file, args, { cwd, timeout: TIMEOUT_MS });
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new SetupError(`${file} failed: ${REMEDY}\n${said}`, { cause: error });
  }
}
