import { pino, type ChildLoggerOptions, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { redact, scrubText } from './redact.ts';

/** A pino logger: `log.info({ field }, 'fixed message')`, `log.child({ conversationId })`. */
export type Logger = PinoLogger;

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/**
 * What nobody caught ends the process with one line like any other. Node's own last words go to stderr unredacted, with every field of
 * the error, for example the arguments of a Redis command. Exits 1.
 */
export function logLastWords(process: Pick<NodeJS.Process, 'once' | 'exit'>, log: Logger): void {
  process.once('uncaughtException', (error: unknown, origin) => {
    log.fatal({ err: error, origin }, 'uncaught');
    process.exit(1);
  });
}

/**
 * The process's logger: one JSON line each, to stdout unless told otherwise. Fixed message, values as fields, errors under `err`.
 * Fields and messages are redacted here and nowhere else, so that forgetting it is impossible. Writing never throws.
 */
export function createLogger(options: { name: string; level: LogLevel; destination?: DestinationStream }): Logger {
  const { name, level, destination } = options;
  const log = pino(
    {
      name,
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redact },
      // `redact` has made errors plain already; pino's own err serializer would wrap its answer again.
      serializers: { err: (value: unknown) => value },
      hooks: {
        // The message is pino's second word (or first): a template with a secret pasted in is scrubbed like any text.
        logMethod(args, method) {
          const safe = args.map((arg: unknown) => (typeof arg === 'string' ? scrubText(arg) : arg));
          method.apply(this, safe as typeof args); // safe: texts stay texts, the rest is untouched
        },
      },
    },
    destination ?? pino.destination({ dest: 1, sync: true }),
  );
  // pino drops a bindings formatter in every child, so the one method that takes bindings is wrapped; children inherit it.
  // oxlint-disable-next-line typescript/unbound-method -- applied to its `this` below
  const { child } = log;
  Object.defineProperty(log, 'child', {
    value(this: Logger, bindings: Record<string, unknown>, childOptions?: ChildLoggerOptions): unknown {
      return Reflect.apply(child, this, [redact(bindings), childOptions]);
    },
  });
  return log;
}
