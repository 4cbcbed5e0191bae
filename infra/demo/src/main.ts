import { parseArgs } from 'node:util';
import { check } from './check.ts';
import { serve } from './serve.ts';
import { show } from './show.ts';

const CHECK_MS = 180_000;

const { values } = parseArgs({
  options: { check: { type: 'boolean' }, serve: { type: 'boolean' }, workers: { type: 'string', default: '1' } },
});
const workers = Number(values.workers);
if (!Number.isInteger(workers) || workers < 0 || workers > 16) {
  process.stderr.write('--workers must be a whole number from 0 to 16\n');
  process.exit(64);
}

const stop = new AbortController();
let signalled = 0;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    const now = Date.now();
    // A terminal sends Ctrl-C to the whole group and npm passes it on once more: only a later one means "at once".
    if (signalled > 0 && now - signalled > 1_000) process.exit(130);
    signalled ||= now;
    stop.abort(new Error(`stopped by ${signal}`));
  });
}

async function run(): Promise<number> {
  try {
    if (values.check) return await check(process.env, AbortSignal.any([stop.signal, AbortSignal.timeout(CHECK_MS)]));
    if (values.serve) return await serve(process.env, workers, stop.signal);
    return await show(process.env, stop.signal);
  } catch (error) {
    if (stop.signal.aborted) return 0;
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  }
}

// Everything is closed by its owner; the bundler's child process alone would keep this one alive.
process.exit(await run());
