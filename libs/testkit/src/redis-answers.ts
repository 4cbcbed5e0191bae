import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const RETRY_MS = 20;
const REPLY_TIMEOUT_MS = 500;

/** Resolves once the Redis on this port answers PING (while it loads its data it refuses). Ends with `signal`, or after 30 s. */
export async function untilRedisAnswers(port: number, signal = AbortSignal.timeout(30_000)): Promise<void> {
  while (!(await answers(port))) await pause(RETRY_MS, undefined, { signal });
}

/** Spoken by hand, so that a failed attempt leaves no reconnecting client behind. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const done = (ok: boolean): void => {
      socket.destroy();
      resolve(ok);
    };
    socket.setTimeout(REPLY_TIMEOUT_MS, () => done(false));
    socket.once('data', (data) => done(data.toString('latin1').startsWith('+PONG')));
    socket.once('error', () => done(false));
    socket.once('close', () => resolve(false));
  });
}
