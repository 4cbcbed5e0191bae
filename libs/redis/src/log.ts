/**
 * Where this library says what it cannot say in an answer (a connection that went away, a malformed row). Pino's loggers
 * fit it; a port of our own so that the library needs no logger. Nothing passed to it holds a secret, URL or transcript.
 */
export interface Log {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
}

/** For callers without a logger. */
export const silentLog: Log = { info: () => undefined, warn: () => undefined };
