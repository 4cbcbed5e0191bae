import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the bootstrap unpacks Redis on a machine that has none. */
export const unpackedRedisDir = fileURLToPath(new URL('../../../.tools/redis', import.meta.url));

/** Looked at after PATH: service users and IDEs often run with a PATH that lacks these. */
const USUAL_PLACES = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin'];

/**
 * The path of a redis-server to run, or undefined: `$REDIS_SERVER_BIN`, then PATH and the usual places, then the one
 * unpacked under .tools. Bootstrap, demo and tests all ask here. Throws if `$REDIS_SERVER_BIN` names no program, since
 * quietly taking another server would test something else than was asked for.
 */
export function findRedisServer(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env['REDIS_SERVER_BIN'];
  if (named) {
    if (isProgram(named)) return named;
    throw new Error(`REDIS_SERVER_BIN is ${named}, which is not a program.`);
  }
  const path = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return [...path, ...USUAL_PLACES, unpackedRedisDir].map((folder) => join(folder, 'redis-server')).find(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
