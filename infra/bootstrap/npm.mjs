import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { run } from './child.mjs';
import { toolsDir } from './paths.mjs';

const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];

/**
 * Runs npm without install scripts: nothing we depend on needs one, so none gets the chance.
 *
 * @param {string[]} args
 * @param {{ cwd: string, timeoutMs: number }} options
 */
export function npm(args, { cwd, timeoutMs }) {
  const own = process.env['npm_execpath'];
  const env = npmEnv();
  if (own?.endsWith('npm-cli.js') && existsSync(own))
    return run(process.execPath, [own, ...args, ...QUIET], { cwd, env, timeoutMs });
  return run('npm', [...args, ...QUIET], { cwd, env, timeoutMs });
}

/** npm hands its own settings to the scripts it runs; a nested npm must not inherit the ones that move its target. */
function npmEnv() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (
      /^npm_(package_|lifecycle_|command$|config_(prefix|local_prefix|global|workspaces?|include|omit|dry_run|package_lock)$)/i.test(
        name,
      )
    )
      delete env[name];
  }
  env['npm_config_cache'] = cacheDir();
  return env;
}

/** The user's npm cache, or one of our own where the home directory is read-only or missing (containers, service users). */
function cacheDir() {
  const usual = process.env['npm_config_cache'] ?? join(homedir(), '.npm');
  try {
    mkdirSync(usual, { recursive: true });
    accessSync(usual, constants.W_OK);
    return usual;
  } catch {
    return join(toolsDir, 'npm-cache');
  }
}
