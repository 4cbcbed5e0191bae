import { isIP } from 'node:net';
import { z } from 'zod';
import { list } from './formats.ts';
import { isLoopbackUrl } from './loopback.ts';
import { Secret } from './secret.ts';

/** Where one API key's webhooks go. Several secrets while one is exchanged: each signs. */
export type WebhookEndpoint = { readonly name: string; readonly url: string; readonly secrets: readonly string[] };

/** 24 to 64 random bytes, as Standard Webhooks asks. */
const isSecret = (text: string): boolean => {
  const bytes = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1];
  const length = bytes === undefined ? 0 : Buffer.from(bytes, 'base64').length;
  return length >= 24 && length <= 64;
};

function endpoint(entry: string): WebhookEndpoint | string {
  const match = /^([A-Za-z0-9_-]{1,64})=([^|]+)\|(.+)$/.exec(entry);
  const [, name = '', url = '', rest = ''] = match ?? [];
  if (!match) return 'must be name=url|whsec_secret';
  if (!URL.canParse(url)) return 'must have a URL after its =';
  const { protocol, username, password } = new URL(url);
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopbackUrl(url)))
    return 'must have an https:// URL (http:// for loopback only)';
  if (username !== '' || password !== '' || url.includes('#'))
    return 'must have a URL without user name, password and fragment';
  const secrets = rest.split('|');
  if (!secrets.every(isSecret)) return 'must have secrets of whsec_ and the base64 of 24 to 64 bytes';
  return { name, url, secrets };
}

/** `name=url|whsec_…,…`; a comma in a URL is written %2C. A secret as a whole: it holds some, and URLs may carry tokens. */
export const Webhooks: z.ZodType<Secret<readonly WebhookEndpoint[]>, string> = z.string().transform((text, context) => {
  const refuse = (message: string): void => void context.issues.push({ code: 'custom', message, input: text });
  const entries = list(text).map(endpoint);
  const found = entries.filter((entry) => typeof entry !== 'string');
  entries.forEach((entry, index) => typeof entry === 'string' && refuse(`entry ${index + 1} ${entry}`));
  if (new Set(found.map(({ name }) => name)).size < found.length) refuse('must name each key once');
  return new Secret(found);
});

/** Networks as CIDR. What is never anybody's endpoint (link-local, with the clouds' metadata services, multicast) cannot be opened. */
export const Networks: z.ZodType<readonly string[], string> = z.string().transform((text, context) => {
  const entries = list(text);
  entries.forEach((entry, index) => {
    const [address = '', prefix = '', ...more] = entry.split('/');
    const family = isIP(address);
    const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (more.length > 0 || family === 0 || !(bits >= 8 && bits <= (family === 4 ? 32 : 128)))
      context.issues.push({
        code: 'custom',
        message: `entry ${index + 1} must be a network of at least /8 like 10.20.0.0/16 or fd00:1::/32`,
        input: text,
      });
  });
  return entries;
});
