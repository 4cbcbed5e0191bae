import { BY_QUEUE, FleetError, type ConversationRecord, type StartData } from '@tavus-fleet/contracts';
import type { Timer } from '@tavus-fleet/lifecycle';
import {
  redisCall,
  type LeaseKeeper,
  type Leases,
  type Queues,
  type ReaperNotes,
  type RedisHealth,
  type WorkerRegistry,
} from '@tavus-fleet/redis';
import { ClaimLoop } from './claim.ts';
import type { ControlJobs } from './control.ts';
import { fleetReaperPort } from './reaper/fleet-port.ts';
import { Reaper, type ReaperOptions } from './reaper/reaper.ts';
import { makeSession, type FactoryDeps } from './session-factory.ts';
import { Sessions } from './sessions.ts';
import type { BullStartJobs } from './start-jobs.ts';
import { Sweeper } from './sweeper.ts';

const HEARTBEAT_MS = 1_000;

export type WorkerParts = FactoryDeps & {
  readonly version: string;
  readonly leases: Leases;
  readonly keeper: LeaseKeeper;
  readonly registry: WorkerRegistry;
  readonly health: RedisHealth;
  readonly queues: Queues;
  readonly startJobs: BullStartJobs;
  readonly controlJobs: ControlJobs;
  readonly notes: ReaperNotes;
  /** For tests; the defaults are the product's. */
  readonly reaping?: Pick<ReaperOptions, 'askEveryMs' | 'confirmMs' | 'settleMs'> & { readonly everyMs?: number };
};

/**
 * One worker replica: claims conversations while it has room, says every second that it is alive, and drains. It starts and
 * stops what it is given in order; connections and browsers belong to main.ts.
 */
export class FleetWorker {
  readonly #parts: WorkerParts;
  readonly sessions: Sessions;
  readonly #claims: ClaimLoop;
  readonly #sweeper: Sweeper;
  readonly #reaper: Reaper;
  readonly #closing = new AbortController();
  readonly #since = new Date().toISOString();
  readonly #url: string;
  readonly #onDrainAsked: () => void;
  #heartbeat: Timer | undefined;

  constructor(parts: WorkerParts, url: string, onDrainAsked: () => void) {
    this.#parts = parts;
    this.#url = url;
    this.#onDrainAsked = onDrainAsked;
    const { clock, log, config, leases, keeper, health, workerId } = parts;
    this.sessions = new Sessions({
      capacity: config.maxSessions,
      clock,
      log,
      port: {
        record: (data) => this.#record(data),
        acquire: (id) => leases.acquire(id, workerId),
        hold: (ownership, told) =>
          keeper.hold(ownership, {
            onLost: () => told.lost(),
            onDesired: (verb) => told.desired(verb),
            onTavusShutdown: (reason) => told.tavusShutdown(reason),
          }),
        session: (record, ownership, redisNowMs) => makeSession(parts, { record, ownership, redisNowMs }),
        redisUp: () => health.up,
      },
    });
    this.#claims = new ClaimLoop(parts.startJobs, this.sessions, clock, (error) =>
      log.warn({ err: error }, 'claiming failed; going on'),
    );
    this.#sweeper = new Sweeper(this.#sweeps(), clock, (error) => log.warn({ err: error }, 'sweep failed; going on'));
    const { redis, keys, ledger, notes, tavus, reaping } = parts;
    this.#reaper = new Reaper(
      fleetReaperPort({
        fleetId: config.fleetId,
        redis,
        keys,
        ledger,
        notes,
        tavus,
        signal: this.#closing.signal,
        everyMs: reaping?.everyMs,
      }),
      { clock, log, ...reaping },
    );
  }

  async start(): Promise<void> {
    const { clock, health, startJobs, controlJobs } = this.#parts;
    health.start();
    this.#heartbeat = clock.every(HEARTBEAT_MS, () => void this.#beat());
    await this.#beat();
    // BullMQ's stalled check waits for its connection: a Redis that is down now must not keep the process from starting.
    void startJobs.start();
    controlJobs.start();
    this.#claims.start();
    this.#sweeper.start();
    this.#reaper.start();
  }

  /** Takes no more, finishes what lives (bounded), then closes its loops. */
  async stop(drainMs: number): Promise<void> {
    const { log, registry, workerId, controlJobs, health } = this.#parts;
    this.#claims.stop();
    const closing = this.#claims.close();
    await this.sessions.drain('drained', drainMs);
    await closing;
    await this.#sweeper.close();
    this.#closing.abort(new FleetError('shutting-down', 'The worker is stopping.'));
    await this.#reaper.close();
    await controlJobs.close();
    this.#heartbeat?.[Symbol.dispose]();
    await registry
      .remove(workerId)
      .catch((error: unknown) => log.warn({ err: error }, 'the registry entry stays until it is stale'));
    health.close();
  }

  async #beat(): Promise<void> {
    const { registry, workerId, version, log, health } = this.#parts;
    const { sessions } = this;
    try {
      const load = sessions.capacity === 0 ? 1 : sessions.size / sessions.capacity;
      const asked = await registry.heartbeat({
        id: workerId,
        url: this.#url,
        capacity: sessions.capacity,
        live: sessions.size,
        load,
        draining: sessions.draining,
        version,
        since: this.#since,
      });
      if (asked.drain && !sessions.draining) this.#onDrainAsked();
    } catch (error) {
      if (health.up) log.warn({ err: error }, 'heartbeat failed; the next one is in a second');
    }
  }

  /** The record is the truth; a job that came without one gets it here. */
  async #record(data: StartData): Promise<ConversationRecord> {
    const { records } = this.#parts;
    const found = await records.get(data.conversationId);
    if (found) return found;
    if (!data.request)
      throw new FleetError('not-found', 'The job names a conversation without a record and carries no request.', {
        field: 'request',
      });
    const { record } = await records.create({
      request: data.request,
      createdBy: BY_QUEUE,
      conversationId: data.conversationId,
    });
    return record;
  }

  #sweeps(): ConstructorParameters<typeof Sweeper>[0] {
    const { queues, records, metrics, redis } = this.#parts;
    return {
      nowMs: async () => {
        const [seconds, micros] = await redisCall(() => redis.time());
        return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
      },
      waiting: async (limit) => {
        const waiting = await queues.sessions.getJobs(['wait', 'delayed', 'prioritized'], 0, limit - 1, true);
        // Safe: BullMQ types data as any; the sweeper parses it.
        return waiting.map((job) => ({ data: job.data as unknown, enqueuedAt: job.timestamp }));
      },
      createdAt: async (data) => {
        if (!data.request && !(await records.get(data.conversationId))) return undefined;
        const { createdAt, spec, state } = await this.#record(data);
        return { createdAt, startTimeoutSeconds: spec.limits.startTimeoutSeconds, queued: state === 'queued' };
      },
      failStartTimeout: async (id) => void (await records.failUnowned(id, 'start-timeout')),
      oldest: (seconds) => metrics.queueOldest(seconds),
    };
  }
}
