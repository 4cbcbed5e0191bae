const REDACTED = '[redacted]';
const MAX_DEPTH = 6;
const MAX_ENTRIES = 64;
const MAX_TEXT = 4096;

/**
 * Field names whose value is never logged, wherever they stand and however they are written (case, `_` and `-` do not count).
 * By name and at every depth: pino's own path list would miss the field one level deeper than the list's author thought.
 */
const secretNames = new Set(
  [
    'authorization',
    'cookie',
    'set-cookie',
    'x-api-key',
    'apiKey',
    'token',
    'accessToken',
    'meetingToken',
    'userRoomToken',
    'secret',
    'password',
    'nonce',
    'ownerNonce',
    'conversationUrl',
    'userRoomUrl',
    'roomUrl',
    'room_url',
    'callbackUrl',
    'redisUrl',
    'transcript',
    'speech',
    'text',
    'audio',
    'customGreeting',
    'conversationalContext',
    'body',
  ].map(plain),
);

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}

/**
 * Takes out of free text what error messages of others carry: whatever follows the host of a URL or of Daily's hosts without a
 * scheme (a room's name is an invitation into it), credentials before it, bearer tokens, JSON web tokens.
 */
export function scrubText(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return cut
    .replaceAll(
      /\b((?:https?|wss?|rediss?(?:\+\w+)?):\/\/)(?:[^\s/@"'<>]*@)?([^\s/?#"'<>]*)([/?#][^\s"'<>]*)?/gi,
      (_, scheme: string, host: string, rest?: string) =>
        rest === undefined || rest === '/' ? `${scheme}${host}` : `${scheme}${host}/${REDACTED}`,
    )
    .replaceAll(/(?<![\w/.-])([\w-]+\.daily\.co)\/[^\s"'<>]+/gi, (_, host: string) => `${host}/${REDACTED}`)
    .replaceAll(/\bBearer\s+[A-Za-z0-9._~+/=-]+/gi, `Bearer ${REDACTED}`)
    .replaceAll(/\beyJ[\w-]+\.[\w.-]+/g, REDACTED);
}

/** A copy of log fields that is safe to write: secrets by name, text scrubbed, errors as plain objects, bounded in depth and size. Never throws. */
export function redact(fields: Record<string, unknown>): Record<string, unknown> {
  try {
    return entriesOf(fields, 0, new Set());
  } catch {
    return { logError: 'fields could not be read' };
  }
}

function entriesOf(object: object, depth: number, above: ReadonlySet<object>): Record<string, unknown> {
  const within = new Set(above).add(object);
  const result: Record<string, unknown> = {};
  let left = MAX_ENTRIES;
  for (const [name, value] of Object.entries(object)) {
    if (left-- === 0) break;
    result[name] = secretNames.has(plain(name)) && value !== undefined ? REDACTED : valueOf(value, depth + 1, within);
  }
  return result;
}

function valueOf(value: unknown, depth: number, above: ReadonlySet<object>): unknown {
  if (typeof value === 'string') return scrubText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null)
    return typeof value === 'function' || typeof value === 'symbol' ? undefined : value;
  if (above.has(value)) return '[circular]';
  if (depth > MAX_DEPTH) return '[too deep]';
  if (value instanceof Error) return errorOf(value, depth, above);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) {
    const within = new Set(above).add(value);
    return value.slice(0, MAX_ENTRIES).map((entry) => valueOf(entry, depth + 1, within));
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return entriesOf(value, depth, above);
  // A class instance (socket, request, connection) is not data: only what it chooses to say of itself is written.
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    const json: unknown = value.toJSON();
    return typeof json === 'object'
      ? valueOf({ ...json }, depth, new Set(above).add(value))
      : valueOf(json, depth, above);
  }
  return `[${value.constructor?.name ?? 'object'}]`;
}

/**
 * Of an error's own fields only plain values are kept (code, field, retryAfterMs …): what drivers hang on theirs is what was being sent
 * (ioredis: `command.args`, with every value of a record; undici: body and headers).
 */
function errorOf(error: Error, depth: number, above: ReadonlySet<object>): Record<string, unknown> {
  const within = new Set(above).add(error);
  const plainFields = Object.entries(error).filter(([, value]) => typeof value !== 'object' || value === null);
  // Own enumerable fields first, so that they cannot stand in for the five below.
  return {
    ...entriesOf(Object.fromEntries(plainFields), depth, within),
    type: error.constructor.name,
    message: messageOf(error),
    ...(error.stack === undefined ? {} : { stack: framesOf(error.stack) }),
    ...(error instanceof AggregateError ? { errors: valueOf(error.errors, depth + 1, within) } : {}),
    ...(error.cause === undefined ? {} : { cause: valueOf(error.cause, depth + 1, within) }),
  };
}

/** JSON.parse quotes the text that it could not read: somebody's request, frame or answer. */
function messageOf(error: Error): string {
  if (error instanceof SyntaxError && error.message.includes('JSON')) return 'Not JSON.';
  return scrubText(error.message);
}

/** A stack begins with the message again, over as many lines as that has; where it happened is what comes after. */
function framesOf(stack: string): string {
  return scrubText(
    stack
      .split('\n')
      .filter((line) => /^\s+at /.test(line))
      .join('\n'),
  );
}
