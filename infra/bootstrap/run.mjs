// Every npm script starts here: `node infra/bootstrap/run.mjs <command> [arguments]`. Installs what the command needs
// and then becomes that command. Plain JavaScript without dependencies, because on a fresh machine there are none, and
// the Node that reads this may be too old for the rest.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { become } from './child.mjs';
import { ensureNode } from './node24.mjs';
import { ensurePackages } from './packages.mjs';
import { root, toolsDir } from './paths.mjs';
import { SetupError } from './report.mjs';

const bin = (/** @type {string} */ name) => join(root, 'node_modules/.bin', name);

/** @type {Record<string, { argv: string[], redis?: boolean, chromium?: boolean }>} */
const COMMANDS = {
  demo: { argv: ['infra/demo/src/main.ts'], redis: true, chromium: true },
  bench: { argv: ['test/bench/main.ts'], redis: true, chromium: true },
  test: { argv: ['infra/bootstrap/test.ts'] }, // asks for Redis and Chromium itself, when a step needs them
  api: { argv: ['services/api/src/main.ts'] },
  worker: { argv: ['services/worker/src/main.ts'], chromium: true },
  simulator: { argv: ['services/simulator/src/main.ts'] },
  fleet: { argv: ['services/cli/src/main.ts'] },
  lint: { argv: [bin('oxlint')] },
  typecheck: { argv: [bin('nx'), 'run-many', '-t', 'typecheck'] },
  format: { argv: [bin('oxfmt')] },
};

async function main() {
  const [name = '', ...args] = process.argv.slice(2);
  const command = COMMANDS[name];
  if (!command)
    throw new SetupError(`usage: node infra/bootstrap/run.mjs ${Object.keys(COMMANDS).join('|')} [arguments]`);
  await ensureNode();
  await ensurePackages();
  if (command.redis) await (await import('./redis.ts')).ensureRedis();
  if (command.chromium) await (await import('./chromium.ts')).ensureChromium();
  const [script = '', ...fixed] = command.argv;
  process.chdir(root);
  const file = join(script.startsWith(root) ? '' : root, script);
  if (!existsSync(file)) throw new SetupError(`${script} is missing from this checkout`);
  // What was compiled once (types stripped, bytecode) is not compiled again: a test run starts hundreds of processes.
  const env = { NODE_COMPILE_CACHE: join(toolsDir, 'compile-cache'), ...process.env };
  await become(process.execPath, [file, ...fixed, ...args], env);
}

try {
  await main();
} catch (error) {
  process.stderr.write(
    `${error instanceof SetupError ? error.message : String(error instanceof Error ? error.stack : error)}\n`,
  );
  // Whoever reads the verdict of a test run finds one, also when it never began.
  if (process.argv[2] === 'test') process.stdout.write('0 passed, 1 failed\n');
  process.exitCode = 1;
}
