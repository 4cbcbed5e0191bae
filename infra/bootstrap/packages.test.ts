import { describe, expect, it } from 'vitest';
import { complete } from './complete-lock.mjs';
import { matches } from './packages.mjs';

describe('matches', () => {
  const lock = {
    '': {},
    'libs/a': { version: '1.0.0' },
    'node_modules/a': { link: true },
    'node_modules/b': { version: '2.0.0' },
    'node_modules/b-darwin': { version: '2.0.0', optional: true },
  };
  const installed = { 'node_modules/a': { link: true }, 'node_modules/b': { version: '2.0.0' } };

  it('accepts what npm installed for this platform', () => {
    expect(matches(lock, installed)).toBe(true);
  });

  it.each([
    { what: 'another version', present: { ...installed, 'node_modules/b': { version: '2.0.1' } } },
    { what: 'a missing package', present: { 'node_modules/a': { link: true } } },
    { what: 'a copy instead of a link', present: { ...installed, 'node_modules/a': {} } },
  ])('refuses $what', ({ present }) => {
    expect(matches(lock, present)).toBe(false);
  });
});

describe('complete', () => {
  it('adds the platform packages that the lock names and lacks', () => {
    const packages = {
      'node_modules/x': {
        dev: true,
        optionalDependencies: { '@x/linux-x64-gnu': '1.2.3', '@x/linux-arm64-musl': '^1.2.3', nothing: '1' },
      },
      'node_modules/@x/linux-x64-gnu': { version: '1.2.3' },
    };
    expect(complete(packages)).toEqual({ added: ['@x/linux-arm64-musl@1.2.3'], unknown: ['nothing@1'] });
    expect(packages).toHaveProperty(['node_modules/@x/linux-arm64-musl'], {
      version: '1.2.3',
      dev: true,
      optional: true,
      os: ['linux'],
      cpu: ['arm64'],
      libc: ['musl'],
    });
  });
});
