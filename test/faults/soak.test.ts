// Conversations come and go all the time, some stopped, some canceled, some with a replica that fails: what a fleet holds after a garbage
// collection, its descriptors and its keys in Redis must not depend on how many it has served. Stand-ins that keep everything are emptied.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { queryObjects, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { randomUUID } from 'node:crypto';
import { addFrame } from '@tavus-fleet/redis';
import { startRedis, startService } from '@tavus-fleet/testkit';
import { Redis } from 'ioredis';
import { request } from 'undici';
import { Session } from '@tavus-fleet/worker/src/session/session.ts';
import { Stay } from '@tavus-fleet/worker/src/stay.ts';
import { TavusVideoService } from '@tavus-fleet/video-service';
import { Job } from 'bullmq';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { figures } from '../e2e/fixtures/judge.ts';
import { eventually } from '../e2e/fixtures/users.ts';
import { FleetWorld } from './fixtures/fleet-world.ts';
import { report, today } from './fixtures/report.ts';

const FULL = Boolean(process.env['FULL']);
/** Half an hour, or what is said: a night. */
const SECONDS = FULL ? Number(process.env['SOAK_SECONDS'] ?? 1_800) : 30;
const WARM_SECONDS = FULL ? 60 : 10;
const SAMPLES = FULL ? 60 : 8;
const LANES = 6;
/** Between two conversations of a lane: a long soak leaves the machine to others. */
const REST_MS = FULL ? 800 : 20;
/** What is allowed is the noise of a collection over the conversations there were; in a short soak code that is still being compiled is all one sees. */
const MOST_BYTES_EACH = FULL ? 1_000 : 50_000;
/** Of what each conversation has, that may live on at the end: what the last ones still wait for. */
const kept = { Session, Stay, TavusVideoService, Job } as const;
/** BullMQ keeps the last thousand jobs of a queue. */
const JOBS_KEPT = 1_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void; // safe: the flag above puts it there

/** Until nothing more goes: what finalizers and weak references let go needs a turn of the loop and another collection (observed: a tenth of the heap). */
async function collectAll(): Promise<number> {
  let heap = process.memoryUsage().heapUsed;
  for (let turn = 0; turn < 10; turn += 1) {
    collect();
    await new Promise(setImmediate);
    const before = heap;
    heap = process.memoryUsage().heapUsed;
    if (turn > 2 && before - heap < 100_000) break;
  }
  return heap;
}

type Sample = { readonly served: number; readonly heap: number; readonly fds: number; readonly keys: number };

/** Bytes (or whatever) per conversation: least squares. */
function slope(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0) / values.length;
  const x = mean(samples.map(({ served }) => served));
  const y = mean(samples.map(of));
  const above = samples.reduce((sum, sample) => sum + (sample.served - x) * (of(sample) - y), 0);
  return above / samples.reduce((sum, { served }) => sum + (served - x) ** 2, 0);
}

class Churn {
  served = 0;
  readonly #fleet: FleetWorld;
  readonly #tavusUrl: string;
  readonly #running = new AbortController();
  #lanes: Promise<unknown> = Promise.resolve();

  constructor(fleet: FleetWorld, tavusUrl: string) {
    this.#fleet = fleet;
    this.#tavusUrl = tavusUrl;
  }

  /** Until `rest`. */
  go(): void {
    this.#lanes = Promise.all(Array.from({ length: LANES }, (_, lane) => this.#lane(lane)));
    this.#lanes.catch(() => this.#running.abort()); // what it was, `stop` says
  }

  /** Resolves when nothing is open. */
  async stop(): Promise<void> {
    this.#running.abort();
    await this.#lanes;
    let open: string[] = [];
    const isEmpty = async (): Promise<boolean> => (open = await this.#fleet.open()).length === 0;
    await eventually('nothing is open', isEmpty, 20_000).catch((cause: unknown) => {
      throw new Error(`still open: ${open.join(', ')}`, { cause });
    });
  }

  /** A fake room keeps its calls. */
  forget(): void {
    const { workers } = this.#fleet;
    for (const { rooms } of workers) {
      const open = rooms.opened.filter((room) => !room.isClosed);
      rooms.opened.splice(0, rooms.opened.length, ...open);
    }
  }

  async #lane(lane: number): Promise<void> {
    for (let n = lane; !this.#running.signal.aborted; n += 1) {
      await this.#one(n);
      this.served += 1;
      await pause(REST_MS);
    }
  }

  async #one(n: number): Promise<void> {
    const { redis, keys, records } = this.#fleet;
    const conversationId = randomUUID();
    const state = async (): Promise<string> => (await records.get(conversationId))?.state ?? 'none';
    if (n % 10 === 3) await fault(this.#tavusUrl, { fault: 'create-500', match: conversationId });
    const { status } = await this.#fleet.post({
      conversationId,
      output: { room: { url: 'https://acme.daily.co/room' } },
    });
    const ask = (verb: 'stop' | 'cancel'): Promise<number> =>
      eventually(verb, async () => (await this.#fleet.verb(conversationId, verb)) < 500, 30_000);
    // Not accepted by a Redis that is late, on a machine that does too much: it may be there all the same.
    if (status !== 202) return void (await ask('cancel'));
    if (n % 5 === 0) await ask('cancel'); // while it waits or starts
    else {
      await eventually('live', async () => (await state()) === 'live', 30_000);
      const audio = new Uint8Array(4_800);
      for (const frame of [{ type: 'tts-started' }, { type: 'tts-audio', rate: 24_000, channels: 1, audio }] as const)
        await addFrame(redis, keys, conversationId, frame);
      if (n % 5 === 2) this.#pageDies(conversationId);
      await addFrame(redis, keys, conversationId, { type: 'tts-stopped' });
      await ask(n % 2 === 0 ? 'cancel' : 'stop');
    }
    const isOver = async (): Promise<boolean> => ['ended', 'canceled', 'failed'].includes(await state());
    await eventually('over', isOver, 30_000);
  }

  #pageDies(id: string): void {
    const rooms = this.#fleet.workers.flatMap((worker) => worker.rooms.opened);
    const room = rooms.find(({ identity, isClosed }) => identity.conversationId === id && !isClosed);
    room?.emit({ type: 'closed', code: 'page-crashed', reason: 'soak' });
  }
}

async function fault(tavusUrl: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const answer = await request(`${tavusUrl}/sim/faults`, { method: 'POST', headers, body: JSON.stringify(body) });
  await answer.body.dump();
}

async function unended(tavusUrl: string): Promise<readonly string[]> {
  const { body } = await request(`${tavusUrl}/sim/state`);
  return z.object({ billing: z.object({ unended: z.array(z.string()) }) }).parse(await body.json()).billing.unended;
}

/** Keys that would stay for ever, but for the jobs that BullMQ keeps by number. */
async function lasting(redis: Redis, prefix: string): Promise<{ keys: number; jobs: number }> {
  let keys = 0;
  let jobs = 0;
  for await (const batch of redis.scanStream({ match: `*${prefix}*`, count: 500 })) {
    // scanStream is typed as a plain stream; its chunks are arrays of key names.
    const names = batch as string[];
    const ttls = await Promise.all(names.map((name) => redis.pttl(name)));
    for (const [at, name] of names.entries()) {
      if (ttls[at] !== -1) continue;
      if (/^\{.*\}:(sessions|control):\d+$/.test(name)) jobs += 1;
      else keys += 1;
    }
  }
  return { keys, jobs };
}

it(
  `${SECONDS} s of churn: no growth of memory, descriptors or keys`,
  async () => {
    const server = await startRedis();
    const redis = new Redis(server.url);
    const main = fileURLToPath(new URL('./fixtures/bare-tavus.ts', import.meta.url));
    const tavus = await startService({ name: 'tavus', main, env: process.env }, AbortSignal.timeout(60_000));
    try {
      await using fleet = await FleetWorld.start({
        redisUrl: server.url,
        keyPrefix: 'soak',
        redis,
        workers: 2,
        env: { TAVUS_BASE_URL: tavus.url },
      });
      const churn = new Churn(fleet, tavus.url);
      churn.go();
      const goneAt = performance.now();
      const samples: Sample[] = [];
      for (let n = 1; n <= SAMPLES; n += 1) {
        const dueMs = (WARM_SECONDS + ((SECONDS - WARM_SECONDS) * n) / SAMPLES) * 1_000;
        // waits: the soak itself, and before it until code is compiled and pools are full
        await pause(Math.max(0, goneAt + dueMs - performance.now()));
        churn.forget();
        const heap = await collectAll();
        const { keys } = await lasting(redis, 'soak');
        const fds = readdirSync('/proc/self/fd').length;
        samples.push({ served: churn.served, heap, fds, keys });
      }
      await churn.stop();
      const { keys, jobs } = await lasting(redis, 'soak');
      const first = samples[0];
      if (!first) throw new Error('Nothing was measured.');
      churn.forget();
      const live = Object.entries(kept).map(([name, kind]) => [name, queryObjects(kind, { format: 'count' })] as const);
      const bytesEach = Math.round(slope(samples, ({ heap }) => heap));
      const fdsEach = slope(samples, ({ fds }) => fds);
      const [fewest, most] = [Math.min(...samples.map((s) => s.keys)), Math.max(...samples.map((s) => s.keys))];
      const found = {
        served: churn.served,
        bytesEach,
        fds: samples.map((s) => s.fds),
        keys: [fewest, most, keys],
        jobs,
        live,
      };
      figures('soak', found);
      expect(churn.served - first.served).toBeGreaterThan(FULL ? 1_000 : 50);
      expect(live.filter(([, count]) => count > 3 * LANES)).toEqual([]);
      expect(bytesEach).toBeLessThan(MOST_BYTES_EACH);
      // A lane's own requests come and go.
      expect(Math.max(...samples.map((s) => s.fds)) - first.fds).toBeLessThanOrEqual(10);
      expect(keys).toBeLessThanOrEqual(most);
      // What runs at a moment has some keys without an end.
      expect(most - fewest).toBeLessThanOrEqual(LANES * 6);
      expect(jobs).toBeLessThanOrEqual(2 * JOBS_KEPT);
      expect(await unended(tavus.url)).toEqual([]);
      const heaps = samples.map((s) => Math.round(s.heap / 1e5) / 10);
      report('soak', 'A soak with churn', [
        `${today()}, \`FULL=1 SOAK_SECONDS=${SECONDS} npx vitest run --project faults test/faults/soak.test.ts\`: ${SECONDS / 60} minutes, two workers, api and Tavus' REST side of the simulator in one`,
        `process on a real Redis; rooms without a browser. ${LANES} conversations at a time, of five one is canceled before it is live, one loses its page, of ten one`,
        `has a create that fails. ${SAMPLES} samples after ${WARM_SECONDS} s, each after a garbage collection.`,
        '',
        `Of these live on at the end: ${live.map(([name, count]) => `${name} ${count}`).join(', ')}.`,
        `Conversations served: ${churn.served}. Heap: ${heaps[0]} MB at the first sample, ${heaps.at(-1)} MB at the last (${Math.min(...heaps)} to ${Math.max(...heaps)}); slope ${bytesEach} bytes a conversation.`,
        `Descriptors: ${first.fds} at the first, ${samples.at(-1)?.fds} at the last, slope ${(fdsEach * 1_000).toFixed(2)} in a thousand conversations. Keys without an end: ${fewest} to ${most} while it ran, ${keys}`,
        `after it, and ${jobs} jobs that BullMQ keeps by number. Un-ended at Tavus: 0.`,
      ]);
    } finally {
      redis.disconnect();
      await tavus.stop();
      await server.stop();
    }
  },
  (SECONDS + 180) * 1_000,
);
