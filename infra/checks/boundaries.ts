// `node infra/checks/boundaries.ts`: what a linter that sees one file cannot see. Who may import whom, that every import
// is declared (nx knows only declared dependencies: an undeclared one would give stale cache hits), and house rules.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, normalize } from 'node:path';
import {
  ENTRY_ONLY,
  EXAMPLES_MAY_IMPORT,
  LONG_PAUSE_MS,
  MAX_LINES,
  MAY_IMPORT,
  MAY_PASS_ENV,
  MAY_READ_ENV,
  MAY_USE_TESTKIT,
  MUST_NOT_IMPORT,
  PAUSES,
  PAUSE_EXCUSE,
  VAGUE_NAME,
} from './rules.ts';
import { readSource } from './source.ts';
import { readTree, type Tree, type Workspace } from './workspaces.ts';

const SOURCES = '{libs,services,infra,test,examples}/**/*.{ts,mts,js,mjs,lua,css,html}';
const NOT_OURS = /(^|\/)(node_modules|\.tools|\.cache|coverage|fixtures)(\/|$)/;

/** Every violation under `root`, each as `file: what is wrong`; sorted. Empty means clean. */
export function violations(root: string): string[] {
  const tree = readTree(root);
  const found: string[] = [];
  const arrows = new Map<string, Set<string>>();
  for (const file of globSync(SOURCES, { cwd: root, exclude: (path) => NOT_OURS.test(path) })) {
    const code = readFileSync(join(root, file), 'utf8');
    found.push(...checkForm(file, code).map((problem) => `${file}: ${problem}`));
    if (!/\.(ts|mts|js|mjs)$/.test(file)) continue;
    const facts = readSource(code, (name) => PAUSES.has(name), LONG_PAUSE_MS);
    const problems = [...checkEnv(file, facts.envReads, facts.envPasses), ...checkPauses(file, code, facts.longPauses)];
    const owner = tree.workspaces.find(({ dir }) => file.startsWith(`${dir}/`));
    if (owner) {
      for (const specifier of facts.imports) problems.push(...checkImport(tree, owner, file, specifier));
      if (!isTest(file)) note(arrows, owner, ours(tree, facts.imports));
    }
    found.push(...problems.map((problem) => `${file}: ${problem}`));
  }
  found.push(...pagesWithoutTypes(tree), ...cycles(arrows).map((cycle) => `cycle: ${cycle}`));
  return found.toSorted();
}

/** A `*.contract.ts` is a suite that several tests run, on the fake and on the real adapter. */
const isTest = (file: string): boolean => /\.(test|contract)\.ts$/.test(file);
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

function checkForm(file: string, code: string): string[] {
  const lines = code.split('\n').length - (code.endsWith('\n') ? 1 : 0);
  return [
    ...(lines > MAX_LINES ? [`${lines} lines; over ${MAX_LINES} a file must be split`] : []),
    ...(VAGUE_NAME.test(basename(file)) ? ['a name that says nothing; call it by what is in it'] : []),
  ];
}

function checkEnv(file: string, reads: readonly number[], passes: readonly number[]): string[] {
  if (MAY_READ_ENV.test(file)) return [];
  const refused = MAY_PASS_ENV.test(file) ? reads : [...reads, ...passes];
  return refused.map((line) => `line ${line}: process.env is read in libs/config only`);
}

function checkPauses(file: string, code: string, pauses: readonly number[]): string[] {
  if (!isTest(file)) return [];
  const lines = code.split('\n');
  const bare = pauses.filter((line) => !lines[line - 1]?.includes(PAUSE_EXCUSE));
  return bare.map((line) => `line ${line}: waits for time to pass; wait for the signal, or say why: ${PAUSE_EXCUSE} …`);
}

function checkImport(tree: Tree, owner: Workspace, file: string, specifier: string): string[] {
  const isPage = file.includes('/src/page/');
  if (specifier.startsWith('.')) {
    const target = normalize(join(dirname(file), specifier));
    return target.startsWith(`${owner.dir}/`) ? [] : [`'${specifier}' leaves ${owner.dir}; import the package`];
  }
  if (isBuiltin(specifier)) {
    if (isPage) return [`page code runs in a browser and cannot import '${specifier}'`];
    return specifier.startsWith('node:') ? [] : [`write 'node:${specifier}'`];
  }
  const name = packageOf(specifier);
  const target = tree.workspaces.find((workspace) => workspace.name === name);
  if (target === owner) return [`imports its own package; use a relative path`];
  const problem = target ? refusedArrow(tree, owner, target, file, specifier) : refusedPackage(tree, owner, name);
  if (problem) return [problem];
  return isDeclared(tree, owner, target, file, name)
    ? []
    : [`'${name}' is missing in the dependencies of ${owner.dir}/package.json`];
}

function refusedArrow(
  tree: Tree,
  owner: Workspace,
  target: Workspace,
  file: string,
  specifier: string,
): string | undefined {
  const to = target.name.slice(tree.scope.length);
  if (target.kind === 'testkit') {
    return isTest(file) || MAY_USE_TESTKIT.includes(owner.dir) ? undefined : 'product code must not use the test kit';
  }
  if (target.kind === 'service')
    return owner.kind === 'test' ? undefined : `a service is nobody's library: ${target.dir}`;
  if (target.kind === 'test') return `nothing imports ${target.dir}`;
  if (owner.kind === 'example')
    return EXAMPLES_MAY_IMPORT.includes(to) ? undefined : `an example has what a backend has; not libs/${to}`;
  if (owner.kind !== 'lib' || isTest(file)) return undefined;
  const from = owner.name.slice(tree.scope.length);
  if (!MAY_IMPORT[from]?.includes(to)) return `libs/${from} may not use libs/${to} (infra/checks/rules.ts)`;
  const isEntry = specifier === target.name;
  return ENTRY_ONLY[from]?.includes(to) && !isEntry ? `libs/${from} may use the entry of libs/${to} only` : undefined;
}

function refusedPackage(tree: Tree, owner: Workspace, name: string): string | undefined {
  const from = owner.name.slice(tree.scope.length);
  return MUST_NOT_IMPORT[from]?.includes(name) ? `libs/${from} may not use ${name} (infra/checks/rules.ts)` : undefined;
}

/** A test may also use what the root declares for all tests, and the test kit: declaring that would make a cycle. */
function isDeclared(tree: Tree, owner: Workspace, target: Workspace | undefined, file: string, name: string): boolean {
  if (owner.dependencies.has(name)) return true;
  if (isTest(file)) return tree.shared.has(name) || target?.kind === 'testkit';
  return owner.kind !== 'service' && owner.kind !== 'lib' && tree.shared.has(name);
}

function ours(tree: Tree, imports: readonly string[]): string[] {
  return imports.map(packageOf).filter((name) => tree.workspaces.some((workspace) => workspace.name === name));
}

function note(arrows: Map<string, Set<string>>, owner: Workspace, targets: readonly string[]): void {
  const known = arrows.get(owner.name) ?? new Set<string>();
  for (const target of targets) if (target !== owner.name) known.add(target);
  arrows.set(owner.name, known);
}

/** Page code without its own tsconfig would be checked by nobody. */
function pagesWithoutTypes({ root, workspaces }: Tree): string[] {
  const pages = workspaces.map(({ dir }) => `${dir}/src/page`).filter((page) => existsSync(join(root, page)));
  return pages
    .filter((page) => !existsSync(join(root, page, 'tsconfig.json')))
    .map((page) => `${page}: has no tsconfig.json`);
}

function cycles(arrows: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const found: string[] = [];
  const finished = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    if (path.includes(name)) found.push([...path.slice(path.indexOf(name)), name].join(' → '));
    if (path.includes(name) || finished.has(name)) return;
    for (const next of arrows.get(name) ?? []) visit(next, [...path, name]);
    finished.add(name);
  };
  for (const name of arrows.keys()) visit(name, []);
  return found;
}

if (import.meta.main) {
  const found = violations(join(import.meta.dirname, '../..'));
  for (const violation of found) console.error(violation);
  console.log(`${found.length} boundary violations`);
  process.exitCode = found.length > 0 ? 1 : 0;
}
