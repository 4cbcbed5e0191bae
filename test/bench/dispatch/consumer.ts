// One side of the comparison as a process of its own: `bare`, a plain BullMQ worker whose job does nothing, or `fleet`, a whole worker of
// ours on stand-in rooms. Each tells for every job when it had it.
import { loadConfig } from '@tavus-fleet/config';
import { queuePrefix } from '@tavus-fleet/contracts';
import { createLogger } from '@tavus-fleet/telemetry';
import { compose } from '@tavus-fleet/worker/src/compose.ts';
import { FleetWorker } from '@tavus-fleet/worker/src/worker.ts';
import { Worker } from 'bullmq';
import { showingRooms } from '../../faults/fixtures/showing-rooms.ts';
import { nowUs } from '../hop/clock.ts';
import type { FromConsumer } from './messages.ts';

const send = (message: FromConsumer): void => void process.send?.(message);
process.on('disconnect', () => process.exit(0));

if (process.argv[2] === 'bare') await bare();
else await fleet();

async function bare(): Promise<void> {
  const { hostname, port } = new URL(process.env['REDIS_URL'] ?? '');
  const worker = new Worker(
    'sessions',
    async () => {
      const claimedUs = nowUs();
      send({ type: 'claimed', fetchedUs: claimedUs, claimedUs });
    },
    { connection: { host: hostname, port: Number(port) }, prefix: queuePrefix(process.env['KEY_PREFIX'] ?? '') },
  );
  await worker.waitUntilReady();
  send({ type: 'ready' });
}

/** Claimed is what we mean by it: lease, epoch and nonce are this worker's. What the start then does is not measured, but done. */
async function fleet(): Promise<void> {
  const log = createLogger({ name: 'worker', level: 'silent' });
  const { parts } = await compose(loadConfig('worker', process.env), log, async () => showingRooms());
  let fetchedUs = 0;
  const next = parts.startJobs.next.bind(parts.startJobs);
  parts.startJobs.next = async () => {
    const job = await next();
    if (job) fetchedUs = nowUs();
    return job;
  };
  let claimedUs = 0;
  const acquire = parts.leases.acquire.bind(parts.leases);
  parts.leases.acquire = async (...args) => {
    const acquired = await acquire(...args);
    claimedUs = nowUs();
    return acquired;
  };
  const worker = new FleetWorker(parts, 'http://127.0.0.1:1', () => undefined);
  const start = worker.sessions.start.bind(worker.sessions);
  worker.sessions.start = async (data) => {
    const outcome = await start(data);
    if (outcome.kind !== 'live') throw new Error(`A conversation of the benchmark became ${JSON.stringify(outcome)}.`);
    const session = worker.sessions.find(data.conversationId);
    session?.hurry('canceled');
    const told = { fetchedUs, claimedUs };
    void gone(worker).then(() => send({ type: 'claimed', ...told }));
    return outcome;
  };
  await worker.start();
  send({ type: 'ready' });
}

/** The last conversation is out of the way before the next is asked for: what is measured is the way to a worker that is idle. */
async function gone(worker: FleetWorker): Promise<void> {
  while (worker.sessions.size > 0) await new Promise((resolve) => setTimeout(resolve, 2));
}
