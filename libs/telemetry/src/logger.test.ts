import { EventEmitter } from 'node:events';
import { FleetError } from '@tavus-fleet/contracts';
import { describe, expect, it } from 'vitest';
import { createLogger, logLastWords } from './logger.ts';
import { scrubText } from './redact.ts';
import { summaryLine } from './summary.ts';

function setup(): { log: ReturnType<typeof createLogger>; lines: () => Record<string, unknown>[]; raw: () => string } {
  const written: string[] = [];
  const log = createLogger({ name: 'test', level: 'debug', destination: { write: (line) => void written.push(line) } });
  return {
    log,
    lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>),
    raw: () => written.join(''),
  }; // safe: a pino line is a JSON object
}

const hidden = 'hunter2-do-not-show';

describe('redaction', () => {
  it.each([
    'authorization',
    'Authorization',
    'token',
    'apiKey',
    'api_key',
    'x-api-key',
    'conversationUrl',
    'conversation_url',
    'userRoomUrl',
    'roomUrl',
    'meetingToken',
    'meeting_token',
    'transcript',
    'speech',
    'text',
  ])('hides %s at every depth, in fields and in bindings', (name) => {
    const { log, raw, lines } = setup();
    log.info({ [name]: hidden, deep: { er: [{ [name]: { inside: hidden } }] } }, 'message');
    log.child({ [name]: hidden }).info('from a child');
    log.error(Object.assign(new Error('failed'), { [name]: hidden }));
    expect(raw()).not.toContain(hidden);
    expect(lines()).toMatchObject([
      { [name]: '[redacted]', msg: 'message' },
      { [name]: '[redacted]' },
      { err: { [name]: '[redacted]' } },
    ]);
  });

  it.each([
    [`cannot join https://acme.daily.co/${hidden}?t=${hidden}`, 'cannot join https://acme.daily.co/[redacted]'],
    [`redis://user:${hidden}@cache:6379 is silent`, 'redis://cache:6379 is silent'],
    [`got Bearer ${hidden}`, 'got Bearer [redacted]'],
    ['listening on http://127.0.0.1:8080', 'listening on http://127.0.0.1:8080'],
    ['at file:///app/main.ts:3:1', 'at file:///app/main.ts:3:1'],
    [`no room at acme.daily.co/${hidden}`, 'no room at acme.daily.co/[redacted]'],
    [`refused eyJhbGciOi.${hidden}.x-y`, 'refused [redacted]'],
  ])('scrubs text: %s', (text, expected) => {
    expect(scrubText(text)).toBe(expected);
    const { log, raw } = setup();
    log.warn(text);
    log.warn(
      { err: new FleetError('room-join-failed', text, { cause: new Error(text) }), nested: { note: text } },
      'failed',
    );
    expect(raw()).not.toContain(hidden);
  });
});

describe('errors of others', () => {
  it('keeps of a driver’s error what it is, and not what was being sent', () => {
    const { log, raw, lines } = setup();
    const reply = Object.assign(new Error('OOM command not allowed'), {
      name: 'ReplyError',
      command: { name: 'evalsha', args: ['userRoomToken', hidden] },
      previousErrors: [{ body: hidden }],
    });
    log.error({ err: new FleetError('redis-unavailable', 'Redis refused it.', { cause: reply }) }, 'request failed');
    expect(raw()).not.toContain(hidden);
    expect(lines()[0]).toMatchObject({ err: { cause: { message: 'OOM command not allowed' } } });
  });

  it('does not repeat the text that was no JSON, nor a message of several lines in the stack', () => {
    const { log, raw, lines } = setup();
    const thrown = (() => {
      try {
        return JSON.parse(`{"${hidden}`) as unknown;
      } catch (error) {
        return error;
      }
    })();
    log.error({ err: thrown }, 'one');
    log.error({ err: new Error(`first\nhttps://acme.daily.co/${hidden}`) }, 'two');
    expect(raw()).not.toContain(hidden);
    expect(lines()[0]).toMatchObject({ err: { type: 'SyntaxError', message: 'Not JSON.' } });
    expect(String(lines()[1]?.['err'] && JSON.stringify(lines()[1]))).toMatch(/ at .*logger\.test\.ts/);
  });
});

describe('last words', () => {
  it('of what nobody caught are one redacted line, then the process exits 1', () => {
    const { log, raw, lines } = setup();
    const process = Object.assign(new EventEmitter(), { exit: (code: number) => void exits.push(code) });
    const exits: number[] = [];
    logLastWords(process as unknown as NodeJS.Process, log); // safe: of a process only these two are used
    process.emit('uncaughtException', new Error(`https://acme.daily.co/${hidden}`), 'unhandledRejection');
    expect(exits).toEqual([1]);
    expect(lines()).toMatchObject([{ level: 'fatal', msg: 'uncaught', origin: 'unhandledRejection' }]);
    expect(raw()).not.toContain(hidden);
  });
});

describe('writing', () => {
  it('keeps fields, level, name, time and an error’s story', () => {
    const { log, lines } = setup();
    log.child({ conversationId: 'c1' }).error(
      {
        err: new FleetError('tavus-auth', 'The key was refused.', { field: 'x', cause: new Error('401') }),
        tries: 2,
      },
      'create failed',
    );
    expect(lines()[0]).toMatchObject({
      level: 'error',
      name: 'test',
      conversationId: 'c1',
      tries: 2,
      msg: 'create failed',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      err: { type: 'FleetError', message: 'The key was refused.', code: 'tavus-auth', cause: { message: '401' } },
    });
  });

  it('never throws: circles, getters, big numbers, class instances, depth', () => {
    const circle: Record<string, unknown> = { big: 1n, bytes: Buffer.alloc(9), none: undefined, map: new Map() };
    circle['self'] = circle;
    const trap = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error('trap');
      },
    });
    const { log, lines } = setup();
    log.info(circle, 'circle');
    log.info({ trap }, 'trap');
    log.info({ a: { b: { c: { d: { e: { f: { g: 1 } } } } } } }, 'deep');
    expect(lines()).toMatchObject([
      { big: '1', bytes: '[9 bytes]', self: '[circular]', map: '[Map]' },
      { logError: 'fields could not be read', msg: 'trap' },
      { msg: 'deep' },
    ]);
  });
});

describe('summaryLine', () => {
  it('writes one fixed line in fixed order and lets nothing else through', () => {
    const { log, raw, lines } = setup();
    const summary = {
      framesIn: 3206,
      endReason: 'room-empty' as const,
      startMs: 812.3456,
      roomUrl: hidden,
    };
    summaryLine(log.child({ conversationId: 'c1', epoch: 1, workerId: 'w1' }), summary);
    expect(lines()).toHaveLength(1);
    expect(raw()).toContain(
      '"conversationId":"c1","epoch":1,"workerId":"w1","endReason":"room-empty","startMs":812.3,"framesIn":3206,"msg":"session ended"',
    );
    expect(raw()).not.toContain('roomUrl');
  });
});
