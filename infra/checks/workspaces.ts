import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Workspace {
  /** `@tavus-fleet/rooms` */
  readonly name: string;
  /** `libs/rooms`, from the root */
  readonly dir: string;
  readonly kind: 'service' | 'lib' | 'testkit' | 'example' | 'test';
  /** Declared for running; a peer is brought by whoever installs the package. */
  readonly dependencies: ReadonlySet<string>;
}

export interface Tree {
  readonly root: string;
  /** What every package is called before its slash. */
  readonly scope: string;
  readonly workspaces: readonly Workspace[];
  /** Declared at the root, for tests and tools. */
  readonly shared: ReadonlySet<string>;
}

interface Manifest {
  readonly name: string;
  readonly workspaces?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export function readTree(root: string): Tree {
  const manifest = readManifest(join(root, 'package.json'));
  const files = (manifest.workspaces ?? []).flatMap((pattern) => globSync(`${pattern}/package.json`, { cwd: root }));
  const workspaces = files.map((file): Workspace => {
    const { name, dependencies, peerDependencies } = readManifest(join(root, file));
    const dir = file.slice(0, -'/package.json'.length);
    return {
      name,
      dir,
      kind: kindOf(dir),
      dependencies: new Set(Object.keys({ ...dependencies, ...peerDependencies })),
    };
  });
  const shared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }));
  return { root, scope: `@${manifest.name}/`, workspaces, shared };
}

/** The folder says it: a tag in a manifest could be forgotten or wished away. */
function kindOf(dir: string): Workspace['kind'] {
  if (dir === 'libs/testkit') return 'testkit';
  if (dir === 'examples') return 'example';
  if (dir.startsWith('services/')) return 'service';
  return dir.startsWith('libs/') ? 'lib' : 'test';
}

function readManifest(file: string): Manifest {
  // A wrong manifest is npm's to report; what we read of it is optional or a name.
  return JSON.parse(readFileSync(file, 'utf8')) as Manifest;
}
