// The client as it is published: the tarball in a project of somebody else, with nothing of this repository around it.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const project = mkdtempSync(join(tmpdir(), 'somebody-'));
const modules = join(project, 'node_modules');

/** What npm would install beside it; the optional drivers only when asked for. */
function bring(...names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
}

function node(code: string): string {
  writeFileSync(join(project, 'main.mjs'), code);
  return execFileSync(process.execPath, ['main.mjs'], { cwd: project, encoding: 'utf8', timeout: 20_000 }).trim();
}

beforeAll(() => {
  const pack = [join(root, 'infra/pack/client.ts'), join(project, 'pack')];
  const tarball = execFileSync(process.execPath, pack, { encoding: 'utf8' }).trim();
  const folder = join(modules, '@tavus-fleet/client');
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['xzf', tarball, '-C', folder, '--strip-components', '1']);
  bring('zod', 'ws', 'eventsource-parser');
  writeFileSync(join(project, 'package.json'), '{"type":"module"}');
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

it('runs without the drivers of Redis, and says what is missing to whoever wants that way', () => {
  const code = `
    import { createFleet, FleetError } from '@tavus-fleet/client';
    const told = async (work) => work().then(() => 'done', (error) => (error instanceof FleetError ? error.code + ' ' + error.field : String(error)));
    await using fleet = createFleet({ url: 'http://127.0.0.1:9', key: 'k' });
    console.log(await told(() => fleet.start({ replicaId: 'r' }, { timeoutMs: 300 })));
    console.log(await told(() => fleet.conversation('c').audio().next()));
    await using other = createFleet({ redis: 'redis://127.0.0.1:9' });
    console.log(await told(() => other.start({ replicaId: 'r' })));`;
  expect(node(code).split('\n')).toEqual([
    'deadline-exceeded undefined',
    'redis-only undefined',
    'invalid-request redis',
  ]);
});

it('brings its types: of the request, of events by their type, of errors', () => {
  writeFileSync(
    join(project, 'typed.ts'),
    `import { createFleet, type FleetError } from '@tavus-fleet/client';
     const fleet = createFleet({ url: 'http://127.0.0.1', key: 'k' });
     const conversation = await fleet.start({ replicaId: 'r', limits: { idleTimeoutSeconds: 5 } });
     for await (const event of conversation.events()) if (event.type === 'interrupted') event.data.playedMs.toFixed();
     const reason: 'stopped' | 'canceled' | string = await conversation.ended;
     export const codeOf = (error: FleetError): 'stream-full' | string => error.code + reason;
     // @ts-expect-error -- a field that is not known
     await fleet.start({ replicaId: 'r', limit: 1 });`,
  );
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const options = [
    '--noEmit',
    '--strict',
    '--target',
    'esnext',
    '--module',
    'nodenext',
    '--skipLibCheck',
    '--types',
    '',
  ];
  const { status, stdout } = spawnSync(process.execPath, [tsc, ...options, 'typed.ts'], {
    cwd: project,
    encoding: 'utf8',
  });
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
});

it('goes through Redis when the drivers are there', () => {
  bring('ioredis', 'bullmq');
  const code = `
    import { createFleet } from '@tavus-fleet/client';
    await using fleet = createFleet({ redis: 'redis://127.0.0.1:9', patienceMs: 300 });
    console.log(await fleet.conversation('c').view({ timeoutMs: 300 }).catch((error) => error.code));`;
  expect(node(code)).toMatch(/^(deadline-exceeded|redis-unavailable)$/);
});
