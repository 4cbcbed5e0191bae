import { chmod, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unpackPackaged } from './unpack.ts';

describe('unpackPackaged', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'unpack-test-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  // `fonts` alone is the small part (200 kB); it goes the way of the big one.
  const unpack = () => unpackPackaged({ parts: ['fonts'], directory });

  it('lets several at once end with one finished copy', async () => {
    const paths = await Promise.all([unpack(), unpack(), unpack()]);
    expect(new Set(paths).size).toBe(1);
    expect(await readdir(directory)).toHaveLength(1);
    expect((await readdir(paths[0] ?? '')).length).toBeGreaterThan(0);
    expect(await unpack()).toBe(paths[0]);
  });

  it.each([
    { what: 'that others may write to', make: async (path: string) => (await mkdir(path), await chmod(path, 0o777)) },
    { what: 'that is a link to somewhere', make: (path: string) => symlink('/etc', path) },
  ])('refuses a directory $what', async ({ make }) => {
    const path = await unpack();
    const target = join(path, '..');
    await rm(target, { recursive: true });
    await make(target);
    await expect(unpack()).rejects.toMatchObject({ code: 'browser-failed' });
    expect(target).toContain(String(userInfo().uid));
  });
});
