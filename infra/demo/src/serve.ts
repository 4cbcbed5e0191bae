import { Stack } from '@tavus-fleet/testkit';
import { troubles } from './troubles.ts';

/** The stack without a conversation: prints one `ready` line, stays until SIGINT or SIGTERM, then everything it started is gone. */
export async function serve(
  env: Readonly<Record<string, string | undefined>>,
  workers: number,
  stop: AbortSignal,
): Promise<number> {
  const stack = await Stack.start({ env: env, workers, onLine: troubles }, stop);
  try {
    const ready = {
      api: stack.api.url,
      apiKey: stack.apiKey,
      simulator: stack.simulator.url,
      redis: stack.redisUrl,
      workers: stack.workers.map((worker) => ({
        id: String(worker.ready['workerId']),
        url: worker.url,
        pid: worker.pid,
      })),
    };
    process.stdout.write(`ready ${JSON.stringify(ready)}\n`);
    await stopped(stop);
    return 0;
  } finally {
    await stack.close();
  }
}

export function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
