import { BY_QUEUE, FleetError, type ConversationRecord, type StartData } from '@tavus-fleet/contracts';
import type { Timer } from '@tavus-fleet/lifecycle';
import { type ProviderSlots, type Leases, type Queues, type ReaperNotes, type RedisHealth } from '@tavus-fleet/redis';
import { currentTraceparent, traced } from '@tavus-fleet/telemetry';
import { ClaimLoop } from './claim.ts';
import type { ControlJobs } from './control.ts';
import { fleetReaperPort } from './reaper/fleet-port.ts';
import { GivingAway, heirPort, type HandOverDeps } from './hand-over/fleet-ports.ts';
import { Heirs } from './hand-over/heirs.ts';
import { Reaper, type ReaperOptions } from './reaper/reaper.ts';
import type { LoadWatch } from './load/load-watch.ts';
import { providerGate } from './provider-gate.ts';
import { makeSession } from './session-factory.ts';
import { Sessions } from './sessions.ts';
import type { BullStartJobs } from './start-jobs.ts';
import { Sweeper } from './sweeper.ts';
import { fleetSweeperPort } from './sweeper-port.ts';
import { TakeoverSweeper } from './takeover-sweeper.ts';

const HEARTBEAT_MS = 1_000;

export type WorkerParts = HandOverDeps & {
  readonly version: string;
  readonly leases: Leases;
  readonly health: RedisHealth;
  readonly queues: Queues;
  readonly startJobs: BullStartJobs;
  readonly controlJobs: ControlJobs;
  readonly notes: ReaperNotes;
  readonly slots: ProviderSlots;
  readonly load: LoadWatch;
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
  readonly #takeovers: TakeoverSweeper;
  readonly #heirs: Heirs;
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
    const { clock, log, config, leases, keeper, health, workerId, load, metrics, queues } = parts;
    const giving = new GivingAway(parts);
    this.#heirs = new Heirs(
      heirPort(parts, () => this.sessions),
      clock,
      (error) => log.warn({ err: error }, 'looking for offers failed; going on'),
    );
    this.sessions = new Sessions({
      capacity: config.maxSessions,
      clock,
      log,
      port: {
        recordOf: (data) => this.#record(data),
        record: (conversationId) => this.#record({ v: 1, conversationId }),
        acquire: (id) => traced('acquire', {}, () => leases.acquire(id, workerId)),
        recover: (owner, crashed) => leases.recover(owner, workerId, crashed),
        hold: (ownership, told, confirmedAt) =>
          keeper.hold(
            ownership,
            {
              onLost: () => told.lost(),
              onDesired: (verb) => told.desired(verb),
              onTavusShutdown: (reason) => told.tavusShutdown(reason),
            },
            confirmedAt,
          ),
        session: (record, owned, again) => makeSession(parts, record, owned, again),
        redisUp: () => health.up,
        short: () => load.short,
        takenOver: () => metrics.takeover(),
        handOver: async (stay, signal) => {
          const outcome = await giving.handOver(stay, signal);
          metrics.handOver(outcome);
          return outcome;
        },
        expected: () => this.#heirs.size,
      },
    });
    this.#claims = new ClaimLoop({
      jobs: parts.startJobs,
      claimer: this.sessions,
      gate: providerGate(parts),
      clock,
      onError: (error) => log.warn({ err: error }, 'claiming failed; going on'),
    });
    this.#sweeper = new Sweeper(
      fleetSweeperPort({ ...parts, recordOf: (data) => this.#record(data) }),
      clock,
      (error) => log.warn({ err: error }, 'sweep failed; going on'),
    );
    this.#takeovers = new TakeoverSweeper(
      {
        steadyMs: () => health.steadyMs,
        expired: () => leases.expired(),
        whyNotOneMore: () => this.sessions.whyNotTakeOver(),
        take: (conversationId) => this.sessions.start({ v: 1, conversationId }),
        enqueue: (conversationId) => queues.enqueue('start', { v: 1, conversationId }, { urgent: true }),
      },
      clock,
      (error) => log.warn({ err: error }, 'looking for lost owners failed; going on'),
    );
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

  /** Why no further conversation is taken just now. */
  get whyWaiting(): string | undefined {
    return this.#claims.whyWaiting;
  }

  async start(): Promise<void> {
    const { clock, health, load, startJobs, controlJobs } = this.#parts;
    health.start();
    load.start();
    this.#heartbeat = clock.every(HEARTBEAT_MS, () => void this.#beat());
    await this.#beat();
    // BullMQ's stalled check waits for its connection: a Redis that is down now must not keep the process from starting.
    void startJobs.start();
    controlJobs.start();
    this.#claims.start();
    this.#sweeper.start();
    this.#takeovers.start();
    this.#heirs.start();
    this.#reaper.start();
  }

  /** Takes no more, finishes what lives (bounded), then closes its loops. */
  async stop(drainMs: number): Promise<void> {
    const { log, registry, workerId, controlJobs, health, load } = this.#parts;
    this.#claims.stop();
    await Promise.all([this.#takeovers.close(), this.#heirs.close()]);
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
    load.close();
  }

  async #beat(): Promise<void> {
    const { registry, workerId, version, log, health, load } = this.#parts;
    const { sessions } = this;
    const { starting, live, stopping } = sessions.slots();
    try {
      const asked = await registry.heartbeat({
        id: workerId,
        url: this.#url,
        capacity: sessions.capacity,
        live: sessions.size,
        // The nearest of its limits: slots, CPU, memory, event loop. 1 = takes no more.
        load: Math.max(sessions.size / sessions.capacity, load.short ? 1 : load.nearness),
        states: { starting, live, stopping },
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
      traceparent: currentTraceparent(),
    });
    return record;
  }
}
