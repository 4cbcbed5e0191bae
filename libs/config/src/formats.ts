import { z } from 'zod';
import { Secret } from './secret.ts';

/** A product backend's key: its name (the conversations' owner) and the SHA-256 of the key; the key itself is never configured. */
export type ApiKey = { readonly name: string; readonly sha256: string };

/** An unset variable is the empty text; it becomes undefined. */
export const optional = <T>(format: z.ZodType<T, string>): z.ZodType<T | undefined, string> =>
  z.string().transform((text, context) => {
    if (text === '') return undefined;
    const parsed = format.safeParse(text);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues)
      context.issues.push({ code: 'custom', message: issue.message, input: text });
    return z.NEVER;
  });

export const secret = <T>(format: z.ZodType<T, string>): z.ZodType<Secret<T>, string> =>
  format.transform((value) => new Secret(value));

export const integer = (min: number, max: number): z.ZodType<number, string> =>
  z
    .string()
    .refine(
      (text) => /^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max,
      `must be a whole number from ${min} to ${max}`,
    )
    .transform(Number);

export const Port = integer(0, 65_535);

export const oneOf = <const T extends readonly [string, ...string[]]>(choices: T): z.ZodType<T[number], string> =>
  z.string().transform((text, context) => {
    const choice = choices.find((each) => each === text);
    if (choice !== undefined) return choice;
    context.issues.push({ code: 'custom', message: `must be one of ${choices.join(', ')}`, input: text });
    return z.NEVER;
  });

/** FLEET_ID and KEY_PREFIX: they stand inside names (`[tf:<FLEET_ID>:…]`) and keys (`{fleet}`), whose separators they must not hold. */
export const Name = z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'must be 1 to 32 characters of A-Z a-z 0-9 _ -');

export const Host = z.string().regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'must be a host name or an address');

export const AbsolutePath = z.string().regex(/^\/[^\0]+$/, 'must be an absolute path');

/** An http(s) address without credentials, query or fragment; a trailing slash is cut so that paths can be added. */
export const HttpUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
    'must be an http:// or https:// URL',
  )
  .refine(
    (text) => !URL.canParse(text) || (new URL(text).username === '' && new URL(text).password === ''),
    'must not carry a user name or password',
  )
  .refine((text) => !/[?#]/.test(text), 'must not carry a query or fragment')
  .transform((text) => text.replace(/\/+$/, ''));

/** Host names and addresses; `port` says whether each may carry one, as a Host header does. */
export const hosts = ({ port }: { port: boolean }): z.ZodType<readonly string[], string> => {
  const form = port ? /^[a-z0-9._-]{1,253}(:\d{1,5})?$/ : /^[a-z0-9._-]{1,253}$/;
  return z.string().transform((text, context) => {
    const entries = list(text.toLowerCase());
    const bad = entries.findIndex((entry) => !form.test(entry));
    if (bad >= 0)
      context.issues.push({
        code: 'custom',
        message: `entry ${bad + 1} must be a host${port ? ' or host:port' : ''}, without a scheme or a pattern`,
        input: text,
      });
    return entries;
  });
};

const hostAndPort = String.raw`(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?`;
const credentials = String.raw`(?:[^@/\s]*@)?`;
const redisForms = [
  new RegExp(`^rediss?://${credentials}${hostAndPort}(?:/\\d{1,3})?/?$`),
  new RegExp(`^redis\\+sentinel://${credentials}${hostAndPort}(?:,${hostAndPort})*/[A-Za-z0-9._-]+$`),
  new RegExp(`^redis\\+cluster://${credentials}${hostAndPort}(?:,${hostAndPort})*/?$`),
];

/** A secret because it may carry a password. Taken apart in libs/redis, where connections are made. */
export const RedisUrl = secret(
  z
    .string()
    .refine(
      (text) => redisForms.some((form) => form.test(text)),
      'must be redis://host:port, rediss://host:port, redis+sentinel://host,host/name or redis+cluster://host,host',
    ),
);

/** `name:sha256hex,…`. Two hashes under one name are one owner: that is how a key is exchanged without a gap. */
export const ApiKeys: z.ZodType<Secret<readonly ApiKey[]>, string> = z.string().transform((text, context) => {
  const keys = list(text).map((entry) => /^([A-Za-z0-9_-]{1,64}):([0-9a-fA-F]{64})$/.exec(entry));
  const found = keys.flatMap((match) =>
    match?.[1] && match[2] ? [{ name: match[1], sha256: match[2].toLowerCase() }] : [],
  );
  const bad = keys.findIndex((match) => match === null);
  if (bad >= 0)
    context.issues.push({
      code: 'custom',
      message: `entry ${bad + 1} must be name:sha256hex (printf %s "$KEY" | sha256sum)`,
      input: text,
    });
  else if (new Set(found.map((key) => key.sha256)).size < found.length)
    context.issues.push({ code: 'custom', message: 'must not name the same hash twice', input: text });
  return new Secret(found);
});

/** Host patterns and exact origins, as roomUrlProblem of libs/contracts reads them. */
export const RoomHosts: z.ZodType<readonly string[], string> = z.string().transform((text, context) => {
  const entries = list(text);
  entries.forEach((entry, index) => {
    if (isOrigin(entry) || /^(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/.test(entry)) return;
    context.issues.push({
      code: 'custom',
      message: `entry ${index + 1} must be a host (rooms.example.com), a pattern (*.daily.co) or an exact origin (http://127.0.0.1:8090)`,
      input: text,
    });
  });
  return entries.map((entry) => entry.toLowerCase());
});

function isOrigin(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text.toLowerCase();
}

/** The entries of a comma-separated variable. */
export function list(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
