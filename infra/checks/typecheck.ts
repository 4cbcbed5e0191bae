// `node infra/checks/typecheck.ts libs/rooms`: the types of one workspace, page code included. Page code has a
// tsconfig.json of its own, because it knows the DOM and no Node; being called tsconfig.json, editors and the linter
// find it too.
import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';

const project = process.argv[2] ?? '.';
const tsc = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc');

for (const folder of [project, join(project, 'src/page')]) {
  const config = join(folder, 'tsconfig.json');
  // tsc calls a project without files an error; a workspace that was only just added is none.
  const isEmpty = globSync('**/*.ts', { cwd: folder, exclude: ['**/node_modules/**', 'src/page/**'] }).length === 0;
  if (!existsSync(config) || isEmpty) continue;
  const { status } = spawnSync(process.execPath, [tsc, '-p', config, '--noEmit', '--pretty', 'false'], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
