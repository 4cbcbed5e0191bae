import { WorkerView } from '@tavus-fleet/contracts';
import { z } from 'zod';
import { redisCall } from './call.ts';
import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import { silentLog, type Log } from './log.ts';
import { listScript, wordScript } from './scripts.ts';

const heartbeatScript = wordScript('heartbeat', ['drain', '']);
const listWorkersScript = listScript('list-workers');
const requestDrainScript = wordScript('request-drain', ['requested', 'absent']);

/** A worker as it says itself; `url` is where its own HTTP server listens. */
export const WorkerHeartbeat = WorkerView.extend({
  url: z.string(),
  /** Its sessions by state; absent from workers of an older version. */
  states: z.object({ starting: z.int(), live: z.int(), stopping: z.int() }).optional(),
});
export type WorkerHeartbeat = z.infer<typeof WorkerHeartbeat>;

const ALIVE_MS = 5000;
const FORGET_MS = 3_600_000;

/** Which workers live, by their heartbeats of the last 5 s on Redis' clock. */
export class WorkerRegistry {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #log: Log;
  readonly #aliveMs: number;

  constructor(redis: RedisConnection, keys: Keys, options: { log?: Log; aliveMs?: number } = {}) {
    this.#redis = redis;
    this.#key = keys.fleet.workers;
    this.#log = options.log ?? silentLog;
    this.#aliveMs = options.aliveMs ?? ALIVE_MS;
  }

  /** To be sent every second. Answers whether somebody has asked this worker to drain. */
  async heartbeat(worker: WorkerHeartbeat): Promise<{ readonly drain: boolean }> {
    const answer = await redisCall(() =>
      heartbeatScript.run(this.#redis, [this.#key], worker.id, JSON.stringify(worker)),
    );
    return { drain: answer === 'drain' };
  }

  async list(): Promise<WorkerHeartbeat[]> {
    const texts = await redisCall(() => listWorkersScript.run(this.#redis, [this.#key], this.#aliveMs, FORGET_MS));
    const workers = texts.flatMap((text) => {
      try {
        return [WorkerHeartbeat.parse(JSON.parse(text))];
      } catch {
        this.#log.warn({}, 'malformed heartbeat left out');
        return [];
      }
    });
    return workers.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Asks a worker to drain; there is no way back. `absent`: no such worker was seen within the last hour. */
  async requestDrain(workerId: string): Promise<'requested' | 'absent'> {
    return redisCall(() => requestDrainScript.run(this.#redis, [this.#key], workerId));
  }

  /** The worker is closing. */
  async remove(workerId: string): Promise<void> {
    await redisCall(() => this.#redis.hdel(this.#key, workerId, `drain:${workerId}`));
  }
}
