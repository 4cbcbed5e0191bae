import { spawn } from 'node:child_process';
import { constants } from 'node:os';

const FORWARDED = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']);
const REPEAT_MS = 1000;

/**
 * Ends the present program and becomes `file`: same pid, same process group, same stdio, and the exit code is the new
 * program's own, so nothing stands between a signal and the service. Where the platform or this Node has no execve, a
 * child is started instead and signals are forwarded to it. Never returns.
 *
 * @param {string} file absolute path of a program
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<never>}
 */
export async function become(file, args, env) {
  if (typeof process.execve === 'function' && process.platform !== 'win32') {
    process.execve(file, [file, ...args], definedOnly(env));
  }
  const child = spawn(file, args, { stdio: 'inherit', env });
  for (const signal of FORWARDED) process.on(signal, forwarder(child, signal));
  const [code, signal] = await ended(child);
  if (signal) {
    // Die of the same signal: a shell that waits for us must see why.
    for (const name of FORWARDED) process.removeAllListeners(name);
    process.kill(process.pid, signal);
    process.exitCode = 128 + constants.signals[signal];
  }
  process.exit(code ?? process.exitCode);
}

/**
 * The child stays in our process group, so that killing the group takes it along. Then Ctrl-C in a terminal reaches it
 * directly, and npm sends us the same signal once more: forwarding either would be a second signal, which a service
 * understands as "do not wait any longer". So: never SIGINT from a terminal, and no repetition within a second.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {NodeJS.Signals} signal
 */
function forwarder(child, signal) {
  const fromTerminal = signal === 'SIGINT' && (process.stdin.isTTY || process.stdout.isTTY);
  let lastAt = -Infinity;
  return () => {
    const now = performance.now();
    if (fromTerminal || now - lastAt < REPEAT_MS) return;
    lastAt = now;
    child.kill(signal);
  };
}

/**
 * Runs a program to its end; its output goes to stderr.
 *
 * @param {string} file
 * @param {string[]} args
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv, timeoutMs: number }} options
 * @returns {Promise<number>} the exit code; a signal or the deadline gives 1
 */
export async function run(file, args, { cwd, env = process.env, timeoutMs }) {
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 2, 2], timeout: timeoutMs });
  const [code] = await ended(child);
  return code ?? 1;
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<[number | null, NodeJS.Signals | null]>}
 */
function ended(child) {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve([code, signal]));
  });
}

/** @param {NodeJS.ProcessEnv} env */
function definedOnly(env) {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
}
