// `node infra/pack/client.ts [folder]`: @tavus-fleet/client as a tarball that npm can install or publish; prints its path.
//
// In the repository every package is its TypeScript source, which Node does not read below node_modules. So here the client and what it
// needs of ours (contracts, lifecycle) are compiled, and those two travel inside of the tarball (bundleDependencies): one
// package to install, one version, and nobody else's types change under it. Rejected: three published packages, whose versions
// would have to move in step, and of which two are nobody's business.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

type Manifest = Readonly<Record<string, unknown>> & { readonly name: string; readonly publishConfig?: object };

const root = join(import.meta.dirname, '../..');
const out = resolve(process.argv[2] ?? join(root, '.cache/pack'));
const stage = join(out, 'client');
const inside = ['contracts', 'lifecycle'];

rmSync(out, { recursive: true, force: true });
mkdirSync(stage, { recursive: true });
place('client', stage, { bundleDependencies: inside.map((name) => `@tavus-fleet/${name}`) });
for (const name of inside) place(name, join(stage, 'node_modules/@tavus-fleet', name), {});
cpSync(join(root, 'LICENSE'), join(stage, 'LICENSE'));
cpSync(join(root, 'libs/client/README.md'), join(stage, 'README.md'));
process.stdout.write(`${join(out, run('npm', ['pack', stage, '--pack-destination', out, '--silent']).trim())}\n`);

/** One package as it is published: its compiled files, and its manifest with what publishConfig says in its place. */
function place(name: string, folder: string, extra: object): void {
  // Safe: it is ours, and npm has read it already.
  const {
    publishConfig,
    nx: _nx,
    private: _private,
    scripts: _scripts,
    ...manifest
  } = JSON.parse(readFileSync(join(root, 'libs', name, 'package.json'), 'utf8')) as Manifest;
  const entry = { types: './dist/index.d.ts', default: './dist/index.js' };
  mkdirSync(folder, { recursive: true });
  compile(name, join(folder, 'dist'));
  const published = { ...manifest, exports: { '.': entry }, files: ['dist'], ...publishConfig, ...extra };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
}

/** The entry and what it reaches, as JavaScript for Node 22 with its types: no test, no fake. */
function compile(name: string, folder: string): void {
  const source = join(root, 'libs', name, 'src');
  const options = ['--noEmit', 'false', '--declaration', '--rewriteRelativeImportExtensions', '--target', 'es2023'];
  mkdirSync(join(root, '.cache'), { recursive: true });
  const config = join(root, '.cache', `tsconfig.pack-${name}.json`);
  writeFileSync(
    config,
    JSON.stringify({ extends: '../tsconfig.json', include: [], files: [join(source, 'index.ts')] }),
  );
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  run(process.execPath, [tsc, '-p', config, ...options, '--rootDir', source, '--outDir', folder]);
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return stdout;
  process.stderr.write(`${stdout}${stderr}`);
  return process.exit(1);
}
