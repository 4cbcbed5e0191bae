import { chown, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { makeProfile } from './profile.ts';

it('removes what a killed process of this host left, and nothing else', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'profile-test-'));
  const host = hostname().replaceAll(/[^A-Za-z0-9.]/g, '_');
  const dead = `tavus-fleet-profile-${host}-4194399-aaaaaa`; // above the largest process id Linux gives
  const others = [
    'tavus-fleet-profile-elsewhere.example-4194399-aaaaaa',
    `tavus-fleet-profile-${host}-${process.pid}-bbbbbb`,
    'something-else',
  ];
  for (const name of [dead, ...others]) await mkdir(join(directory, name, 'Default'), { recursive: true });
  const profile = await makeProfile(directory);
  expect((await readdir(directory)).toSorted((a, b) => a.localeCompare(b))).toEqual(
    [...others, basename(profile)].toSorted((a, b) => a.localeCompare(b)),
  );
  await rm(directory, { recursive: true });
});

it.runIf(process.getuid?.() === 0)('leaves what another user left behind', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'profile-test-'));
  const theirs = `tavus-fleet-profile-${hostname().replaceAll(/[^A-Za-z0-9.]/g, '_')}-4194399-cccccc`;
  await mkdir(join(directory, theirs));
  await chown(join(directory, theirs), 65_534, 65_534);
  const profile = await makeProfile(directory);
  expect(new Set(await readdir(directory))).toEqual(new Set([theirs, basename(profile)]));
  await rm(directory, { recursive: true });
});
