import type { RedisConnection } from './connect.ts';
import type { Keys } from './keys.ts';
import { providerState, type ProviderState } from './provider-slots.ts';
import { Queued } from './queued.ts';
import { ReaperNotes, type Audit } from './reaper-notes.ts';
import { WorkerRegistry } from './workers.ts';

/** The whole fleet at one moment, from indexes and heartbeats: for metrics and operators, not for decisions. */
export type FleetFigures = {
  readonly waiting: { readonly count: number; readonly oldestMs: number };
  /** Sessions of the workers that are alive. */
  readonly sessions: { readonly starting: number; readonly live: number; readonly stopping: number };
  readonly provider: ProviderState;
  readonly audit?: Audit & { readonly ageMs: number };
};

/** Reads what every process of a fleet shows alike. Rejects with `redis-unavailable`. */
export async function fleetFigures(redis: RedisConnection, keys: Keys): Promise<FleetFigures> {
  const [waiting, workers, provider, audit] = await Promise.all([
    new Queued(redis, keys).length(),
    new WorkerRegistry(redis, keys).list(),
    providerState(redis, keys),
    new ReaperNotes(redis, keys).audit(),
  ]);
  const sum = (of: 'starting' | 'live' | 'stopping'): number =>
    workers.reduce((total, { states }) => total + (states?.[of] ?? 0), 0);
  return {
    waiting,
    sessions: { starting: sum('starting'), live: sum('live'), stopping: sum('stopping') },
    provider,
    ...(audit ? { audit } : {}),
  };
}
