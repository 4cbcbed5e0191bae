import { expect, it } from 'vitest';
import { parseRedisUrl } from './redis-url.ts';

const base = { tls: false, db: 0 };

it.each([
  ['redis://127.0.0.1', { ...base, kind: 'single', nodes: [{ host: '127.0.0.1', port: 6379 }] }],
  ['redis://[::1]:7000/3', { ...base, kind: 'single', nodes: [{ host: '::1', port: 7000 }], db: 3 }],
  ['redis://:p%40ss@h:1', { ...base, kind: 'single', nodes: [{ host: 'h', port: 1 }], password: 'p@ss' }],
  [
    'rediss://u:p@h',
    { ...base, kind: 'single', nodes: [{ host: 'h', port: 6379 }], tls: true, username: 'u', password: 'p' },
  ],
  [
    'redis+sentinel://a,b:7,c/main/2',
    {
      ...base,
      kind: 'sentinel',
      masterName: 'main',
      db: 2,
      nodes: [
        { host: 'a', port: 26_379 },
        { host: 'b', port: 7 },
        { host: 'c', port: 26_379 },
      ],
    },
  ],
  [
    'redis+cluster://a:1,b:2',
    {
      ...base,
      kind: 'cluster',
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
    },
  ],
])('reads %s', (url, target) => {
  expect(parseRedisUrl(url)).toEqual(target);
});

it.each([
  '',
  'http://h',
  'redis://',
  'redis://a,b',
  'redis+sentinel://a',
  'redis+cluster://a/1',
  'redis://h/x',
  'redis://h:pw:x',
  'redis://u:%zz@h',
])('refuses %s and names REDIS_URL', (url) => {
  expect(() => parseRedisUrl(url)).toThrow(expect.objectContaining({ code: 'invalid-request', field: 'REDIS_URL' }));
});

it('does not repeat the password', () => {
  expect(() => parseRedisUrl('redis+sentinel://:hunter2@a')).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
  );
});
