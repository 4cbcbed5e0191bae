import { expect, it } from 'vitest';
import { childEnvironment } from './environment.ts';

it('hands Chromium no secret of ours', () => {
  const env = childEnvironment({
    TAVUS_API_KEY: 'k',
    REDIS_URL: 'redis://:pw@host',
    API_KEYS: 'x',
    PATH: '/bin',
    LC_ALL: 'C',
    HTTPS_PROXY: 'http://p',
    TMPDIR: undefined,
  });
  expect(env).toEqual({ PATH: '/bin', LC_ALL: 'C', HTTPS_PROXY: 'http://p' });
});

it('gives a PATH when there is none', () => {
  expect(childEnvironment({})).toEqual({ PATH: '/usr/local/bin:/usr/bin:/bin' });
});
