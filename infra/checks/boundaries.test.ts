import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { violations } from './boundaries.ts';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

const manifest = (name: string, ...dependencies: string[]): string =>
  JSON.stringify({ name: `@fleet/${name}`, dependencies: Object.fromEntries(dependencies.map((each) => [each, '1'])) });

/** A tree that keeps every rule; each case below breaks one. */
const clean: Readonly<Record<string, string>> = {
  'package.json': JSON.stringify({
    name: 'fleet',
    workspaces: ['libs/*', 'services/*'],
    devDependencies: { vitest: '1' },
  }),
  'libs/contracts/package.json': manifest('contracts', 'zod'),
  'libs/contracts/src/index.ts': `export { z } from 'zod';\n`,
  'libs/redis/package.json': manifest('redis', 'ioredis', '@fleet/contracts'),
  'libs/redis/src/index.ts': `import { join } from 'node:path';\nexport * from '@fleet/contracts';\nexport * from './keys.ts';\nexport const a = join;\n`,
  'libs/redis/src/keys.ts': `export const key = 'k';\n`,
  'libs/redis/src/keys.test.ts': `import { it } from 'vitest';\nimport '@fleet/testkit';\nsetTimeout(() => it, 99);\n`,
  'libs/rooms/package.json': manifest('rooms'),
  'libs/video-service/package.json': manifest('video-service', '@fleet/rooms', 'ioredis'),
  'libs/video-service/src/index.ts': `import type { Room } from '@fleet/rooms';\nexport type R = Room;\n`,
  'libs/testkit/package.json': manifest('testkit', '@fleet/redis'),
  'libs/testkit/src/index.ts': `export * from '@fleet/redis';\n`,
  'services/api/package.json': manifest('api', '@fleet/redis'),
  'services/api/src/main.ts': `import { key } from '@fleet/redis';\nexport const start = [key, process.env];\n`,
  'services/api/src/page/tsconfig.json': '{}',
  'services/api/src/page/page.ts': `document.title = '';\n`,
  'services/worker/package.json': manifest('worker'),
};

function check(changes: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'boundaries-'));
  roots.push(root);
  for (const [file, text] of Object.entries({ ...clean, ...changes })) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return violations(root);
}

it('finds nothing in a tree that keeps the rules', () => {
  expect(check({})).toEqual([]);
});

it.each([
  {
    rule: 'contracts import nothing of ours',
    file: 'libs/contracts/src/index.ts',
    text: `import '@fleet/rooms';`,
    says: /libs\/contracts may not use libs\/rooms/,
  },
  {
    rule: 'a library keeps to its list',
    file: 'libs/redis/src/keys.ts',
    text: `import '@fleet/rooms';`,
    says: /libs\/redis may not use libs\/rooms/,
  },
  {
    rule: 'an import type is an import',
    file: 'libs/redis/src/keys.ts',
    text: `import type { A } from '@fleet/rooms'; export type B = A;`,
    says: /may not use libs\/rooms/,
  },
  {
    rule: 'a dynamic import is an import',
    file: 'libs/redis/src/keys.ts',
    text: `export const a = import('@fleet/rooms');`,
    says: /may not use libs\/rooms/,
  },
  {
    rule: 'video-service knows no database',
    file: 'libs/video-service/src/index.ts',
    text: `import 'ioredis';`,
    says: /may not use ioredis/,
  },
  {
    rule: 'video-service takes rooms by its entry',
    file: 'libs/video-service/src/index.ts',
    text: `import '@fleet/rooms/daily';`,
    says: /entry of libs\/rooms/,
  },
  {
    rule: 'no library imports a service',
    file: 'libs/rooms/src/index.ts',
    text: `import '@fleet/api';`,
    says: /nobody's library/,
  },
  {
    rule: 'services do not import each other',
    file: 'services/worker/src/main.ts',
    text: `import '@fleet/api';`,
    says: /nobody's library/,
  },
  {
    rule: 'product code has no test kit',
    file: 'services/api/src/app.ts',
    text: `import '@fleet/testkit';`,
    says: /must not use the test kit/,
  },
  {
    rule: 'a package is declared',
    file: 'services/api/src/app.ts',
    text: `import 'fastify';`,
    says: /'fastify' is missing in the dependencies of services\/api/,
  },
  {
    rule: 'product code does not live on what the root declares',
    file: 'services/api/src/app.ts',
    text: `import 'vitest';`,
    says: /'vitest' is missing/,
  },
  {
    rule: 'a workspace is declared',
    file: 'services/worker/src/main.ts',
    text: `import '@fleet/redis';`,
    says: /'@fleet\/redis' is missing/,
  },
  {
    rule: 'a relative path stays inside',
    file: 'services/api/src/app.ts',
    text: `import '../../worker/src/main.ts';`,
    says: /leaves services\/api/,
  },
  { rule: 'Node modules carry node:', file: 'services/api/src/app.ts', text: `import 'fs';`, says: /write 'node:fs'/ },
  {
    rule: 'page code knows no Node',
    file: 'services/api/src/page/page.ts',
    text: `import 'node:fs';`,
    says: /runs in a browser/,
  },
  { rule: 'page code has types', file: 'services/worker/src/page/page.ts', text: ``, says: /has no tsconfig/ },
  {
    rule: 'one reader of the environment',
    file: 'libs/redis/src/keys.ts',
    text: `export const a = process.env['A'];`,
    says: /line 1: process\.env/,
  },
  {
    rule: 'also as a whole',
    file: 'libs/redis/src/keys.ts',
    text: `export const a = process.env;`,
    says: /process\.env/,
  },
  {
    rule: 'main.ts hands over, it does not pick',
    file: 'services/api/src/main.ts',
    text: `export const a = process.env.A;`,
    says: /process\.env/,
  },
  { rule: 'files stay short', file: 'libs/redis/src/keys.ts', text: '\n'.repeat(401), says: /401 lines/ },
  { rule: 'names say something', file: 'libs/redis/src/utils.ts', text: '', says: /says nothing/ },
  {
    rule: 'tests do not sleep',
    file: 'libs/redis/src/keys.test.ts',
    text: `await new Promise((r) => setTimeout(r, 100));`,
    says: /line 1: waits for time/,
  },
  {
    rule: 'nor by another name',
    file: 'libs/redis/src/keys.test.ts',
    text: `import { setTimeout as sleep } from 'node:timers/promises';\nawait sleep(2_000);`,
    says: /line 2: waits/,
  },
])('$rule', ({ file, text, says }) => {
  const found = check({ [file]: text });
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(says);
});

it('lets a test wait that says why', () => {
  expect(
    check({ 'libs/redis/src/keys.test.ts': `setTimeout(() => 1, 500); // waits: the lease must run out` }),
  ).toEqual([]);
});

it('takes a peer for declared: whoever installs the package brings it', () => {
  expect(
    check({
      'libs/redis/package.json': JSON.stringify({
        name: '@fleet/redis',
        dependencies: { '@fleet/contracts': '1' },
        peerDependencies: { ioredis: '1' },
      }),
      'libs/redis/src/keys.ts': `import 'ioredis';`,
    }),
  ).toEqual([]);
});

it('names a cycle of packages', () => {
  const found = check({
    'libs/contracts/package.json': manifest('contracts', 'zod', '@fleet/redis'),
    'libs/contracts/src/index.ts': `export * from '@fleet/redis';`,
  });
  expect(found).toContainEqual(expect.stringMatching(/^cycle: @fleet\/(redis|contracts) → .* → @fleet\/\w+$/));
});
